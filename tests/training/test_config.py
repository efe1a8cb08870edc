"""A saved config is what every process of a run reads."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.command_line import literal
from src.errors import UserError
from src.training.config import config_hash, load_config, resolve, save_config


def config(**values: object) -> object:
    return OmegaConf.create(
        {"folder": "<run>", "seed": 0, "checkpoints": "${folder}/checkpoints", **values}
    )


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    save_config(config(), tmp_path / "here")  # type: ignore[arg-type]
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_config(tmp_path / "there").checkpoints == f"{tmp_path}/there/checkpoints"


NAMES = [
    "my run #2",
    "a: b",
    'it\'s "so"',
    "two\nlines",
    "日 é 🙂",
    "${x}",
    "\\${oc.env:HOME}",
    "- x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_the_one_that_is_written_to(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    save_config(config(), folder)  # type: ignore[arg-type]
    assert load_config(folder).checkpoints == f"{folder}/checkpoints"
    assert load_config(folder, located=False).folder == "<run>"


@pytest.mark.parametrize("name", NAMES)
def test_text_in_a_config_stays_text(tmp_path: Path, name: str) -> None:
    root = f"/sets/{name}"
    cfg = OmegaConf.create({"folder": "<run>", "root": literal(root), "again": "${root}/x"})
    save_config(cfg, tmp_path)
    save_config(load_config(tmp_path, located=False), tmp_path)  # as a resume does
    assert (load_config(tmp_path).root, load_config(tmp_path).again) == (root, f"{root}/x")
    assert config_hash(load_config(tmp_path)) == config_hash(resolve(cfg))


def test_only_what_starts_with_the_folder_is_in_it(tmp_path: Path) -> None:
    save_config(OmegaConf.create({"a": "x/<run>/y", "b": "<run>2"}), tmp_path)
    assert load_config(tmp_path) == {"a": "x/<run>/y", "b": "<run>2"}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"a", b"[1, 2]", b"a: [", b"a: b: c", b"\xff\xfe", b"a\x00b: 1", b"[" * 5000,
        b"a: \t1", b"a: &x [1]\nb: [*x, *x]", b"a: ${oc.env:HOME}", b"a: !!python/object:os.x {}",
        b"a: " + b"x" * (5 << 20),
    ],
)  # fmt: skip
def test_a_damaged_config_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml .*; put a copy of it back") as caught:
        load_config(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_unset_value_is_named() -> None:
    with pytest.raises(UserError, match="root"):
        resolve(OmegaConf.create({"data": {"root": "???"}}))


def test_an_unknown_interpolation_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^config: .*nothing") as caught:
        resolve(OmegaConf.create({"a": "${nothing}"}))
    assert "\n" not in str(caught.value)


def test_a_folder_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run folder"):
        load_config(tmp_path)


def test_the_hash_sees_what_is_computed_and_nothing_else() -> None:
    base = {"seed": 0, "data": {"root": "a", "num_workers": 1}, "logger": {}}
    same = {"seed": 0, "data": {"root": "a", "num_workers": 8}, "logger": {"csv": 1}}
    assert config_hash(base) == config_hash(same)
    assert config_hash(base) != config_hash({**base, "seed": 1})
