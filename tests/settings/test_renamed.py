"""An old key is answered with its new name, before anything is composed or computed."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src import cli
from src.errors import CommandError
from src.settings import renamed
from src.settings.parse import plain
from tests.conftest import RunCommand
from tests.test_configs import composed

TABLE = {
    "old": "new",
    "model.rate": "pace",
    "model.groups.rules": "model.factors",
    "data=squares": "data=boxes",
}


RENAMED = renamed.RENAMED


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "RENAMED", {"train": TABLE})


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Keys of training with one model or another."""
    tuned = composed("model=isnet", "data=duts", "recipe=finetune", "data@base=duts")
    others = [composed(f"model={name}", "data=duts") for name in ("u2net", "inspyrenet_swinb")]
    return {key for config in (tuned, *others) for key in renamed._keys(plain(config))}


@pytest.mark.parametrize("old", sorted(RENAMED["train"]))
def test_each_old_key_of_training_is_answered_with_one_that_exists(
    old: str, known: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    new = RENAMED["train"][old]
    assert cli.main(["train", "model=isnet", old if "=" in old else f"{old}=3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {old} is now {new}: python train.py {new}")
    assert said.count("\n") == 1
    assert old not in known
    assert new in known or ("=" in new and composed(new))


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("old=500", "old is now new: python train.py new=500"),
        ("++old=500", "old is now new: python train.py new=500"),
        ("~old", "old is now new: python train.py new"),
        ("old=a b", "old is now new: python train.py 'new=a b'"),
        ("model.rate.lr=1", "model.rate.lr is now pace.lr: python train.py pace.lr=1"),
        (
            "model.groups.rules.norm.=30",
            "model.groups.rules.norm. is now model.factors.norm.: "
            "python train.py model.factors.norm.=30",
        ),
        ("data=squares", "data=squares is now data=boxes: python train.py data=boxes"),
        ("data@base=squares", "data=squares is now data=boxes: python train.py data@base=boxes"),
        (
            "data=duts,squares",
            "data=duts,squares is now data=duts,boxes: python train.py data=duts,boxes",
        ),
    ],
)
def test_an_old_word_is_answered_with_the_new_one(word: str, sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        renamed.require_new_keys("train", ["seed=1", word])
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2


def test_an_old_flag_is_answered_with_another_keys_choice() -> None:
    said = r"^half=true is now precision=fp16: python export\.py precision=fp16$"
    with pytest.raises(CommandError, match=said):
        renamed.require_new_keys("export", ["weights=x", "half=true"])


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("word", ["new=1", "model.old=1", "oldest=1", "data=square", "-m", "a b"])
def test_other_words_pass(word: str) -> None:
    renamed.require_new_keys("train", [word])
    renamed.require_new_keys("predict", ["old=1"])


@pytest.mark.usefixtures("table")
def test_an_old_key_of_a_yaml_file_is_answered() -> None:
    renamed.require_new_keys_in("train", {"model": {"pace": 1}})
    with pytest.raises(CommandError, match=r"^model\.rate is now pace: a yaml file"):
        renamed.require_new_keys_in("train", OmegaConf.create({"model": {"rate": {"lr": 1}}}))


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        ("defaults: [{override /data: squares}]", "data=squares is now data=boxes: a yaml file"),
        ("model: {rate: 1}", "model.rate is now pace: a yaml file"),
        ("objective: ${old}", "old is now new: a yaml file"),
        ("defaults: [{override /data: rings}]", "Could not find 'data/rings'"),
    ],
)
def test_an_experiment_of_ones_own_is_answered(
    experiment: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{experiment}\n")
    words = [
        f"hydra.searchpath=[file://{tmp_path}]",
        "experiment=mine",
        f"hydra.run.dir={tmp_path}",
    ]
    assert cli.main(["train", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


@pytest.mark.usefixtures("table")
def test_the_command_line_answers_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "model=u2netp", "old=3"]) == 2
    assert capsys.readouterr().err == "error: old is now new: python train.py new=3\n"


KEYS = [
    (command, old, new)
    for command, table in renamed.RENAMED.items()
    for old, new in table.items()
    if "=" not in old
]


@pytest.mark.parametrize(("command", "old", "new"), KEYS, ids=lambda text: str(text))
def test_every_old_key_is_answered_with_the_new_one(
    command: str, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, f"{old}=3"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {old} is now {new}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "alias", "key"),
    [(c, alias, key) for c, names in renamed.ALIASES.items() for alias, key in names.items()],
)
def test_an_alias_is_the_key_itself(command: str, alias: str, key: str) -> None:
    words = [f"{alias}=a=b", f"x{alias}=1", f"input={alias}"]
    assert renamed.with_aliases(command, words) == [f"{key}=a=b", *words[1:]]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("rgba", "output= is a path; what is made is type=rgba (a folder is output=./rgba)"),
        ("#ff8800", "output= is a path; what is made is type=#ff8800"),
        ("[mask,rgba]", "output= is a path; what is made is type=[mask,rgba]"),
        ("beach.jpg", "output= is a folder, and beach.jpg a file; as a background it is type="),
    ],
)
def test_what_predict_makes_is_no_longer_its_output(
    output: str, said: str, run_command: RunCommand
) -> None:
    Path("beach.jpg").touch()
    error = run_command("predict.py", "weights=x", "input=beach.jpg", f"output={output}", code=2)
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_a_folder_may_have_the_name_of_a_type(run_command: RunCommand) -> None:
    Path("mask").mkdir()
    said = run_command("predict.py", "weights=nowhere.pth", "input=.", "output=mask", code=1)
    assert "is a path" not in said
