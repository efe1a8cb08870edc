"""Values that people type reach the config as they meant them."""

from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.command_line import is_text, quote_overrides, quoted
from src.errors import CommandError

PARSER = OverridesParser.create()


def value(*words: str) -> object:
    """What the config holds of the last word."""
    return read(quote_overrides(words)[-1])


def read(word: str) -> object:
    config = OmegaConf.create({"read": PARSER.parse_override(word).value()})
    return OmegaConf.to_container(config, resolve=True)["read"]  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.root=~/sets", str(Path.home() / "sets")),
        ("data.root=/my photos (new)/x", "/my photos (new)/x"),
        ("weights=logs/<run>/best.ckpt", "logs/<run>/best.ckpt"),
        ("input=it's.jpg", "it's.jpg"),
        ("type=#ff8800", "#ff8800"),
        ("type=[mask,#ff8800]", ["mask", "#ff8800"]),
        ("type='#ff8800'", "#ff8800"),
        ("seed=3", 3),
        ("data.root=null", None),
        ("input=/in/Order #1234", "/in/Order #1234"),
        ("output=/in/#ff8800/x", "/in/#ff8800/x"),
        ("input=[a #1.jpg,b (2.jpg,'c, d.jpg',null]", ["a #1.jpg", "b (2.jpg", "c, d.jpg", None]),
        ("input=007", "007"),
        ("name=true", "true"),
        ("weights=/a,b.ckpt", "/a,b.ckpt"),
        (r"input=\\server\share\x", r"\\server\share\x"),
        (r"output=C:\out\ ".strip(), "C:\\out\\"),
        ("data.train.DIS-TR.images=im=1", "im=1"),
        ("data.train.pictures=30", 30),
        ("data.sampling_weights={a: 0.5}", {"a": 0.5}),
        ("model.network.pretrained=false", False),
        ("model.network.pretrained=/a #1.pth", "/a #1.pth"),
        ("sweep.storage=postgresql://u:p%40s@h/d?x=1,2", "postgresql://u:p%40s@h/d?x=1,2"),
    ],
)
def test_a_value_is_what_was_typed(word: str, expected: object) -> None:
    assert value(word) == expected


@pytest.mark.parametrize(
    "word",
    ["seed=0,1,2", "lr=tag(log,interval(1e-5,1e-2))", "data@base=dis5k", "~logger", "-m", "--help"],
)
def test_what_hydra_reads_stays(word: str) -> None:
    assert quote_overrides([word]) == [word]


def test_the_flag_of_predict() -> None:
    assert quote_overrides(["--skip-existing"]) == ["skip_existing=true"]


# What a path may hold, with the signs that mean something to Hydra, YAML, OmegaConf or a shell.
PATHS = st.lists(
    st.sampled_from(
        [*"ab01 #,=${}[]()'\"\\/.:~*?&|<>%@!;-_\n\t", "é", "日", "🙂", "${x}", "${oc.env:X}"]
    ),
    min_size=1,
    max_size=12,
).map("".join)


def is_no_other_form(path: str) -> bool:
    """Not null, no list in brackets, not in quotes, not below the home folder."""
    ends = path[0] + path[-1]
    return path != "null" and ends not in ("[]", "''", '""') and not path.startswith("~/")


@settings(max_examples=80, deadline=None)
@given(PATHS.filter(is_no_other_form))
@example("C:\\")
@example("'")
def test_any_path_arrives_as_it_was_typed(path: str) -> None:
    for key in ("data.root", "+base.root", "hydra.run.dir"):
        assert value(f"{key}={path}") == path
    assert value(f"input=[{quoted(path)},b]") == [path, "b"]
    # A sweep writes the settings of its jobs once more.
    (job,), *_ = BasicSweeper.split_arguments(
        PARSER.parse_overrides(quote_overrides([f"data.root={path}"])), None
    )
    assert read(job[0]) == path
    # A word that was read before, by `reproduce` or a sweep, stays as it is.
    once = quote_overrides([f"data.root={path}"])
    assert quote_overrides(once) == once


def test_a_sweep_divides_paths_at_commas() -> None:
    assert quote_overrides(["-m", "weights=a.pth,b.pth"])[1] == "weights=a.pth,b.pth"
    assert value("-m", "weights=a #1,b.pth") == "a #1,b.pth"  # no list of Hydra's


def test_settings_that_are_no_paths_may_refer_to_others() -> None:
    assert quote_overrides(["data.val=${data.test.objects}"]) == ["data.val=${data.test.objects}"]
    assert quote_overrides(["name='${model.name}-x'"]) == ["name='${model.name}-x'"]  # in quotes


def test_a_name_that_is_not_utf_8_is_refused_in_a_line() -> None:
    with pytest.raises(CommandError, match=r"^'input=caf\\udce9' is not UTF-8"):
        quote_overrides(["input=caf\udce9"])


@pytest.mark.parametrize("key", ["weights", "model.teacher.checkpoint", "~name", "data@base.root"])
def test_keys_of_paths_and_names(key: str) -> None:
    assert is_text(key) == (key != "data@base.root")
    assert not is_text("data.sampling_weights")
