"""What `annotate.py` refuses is said in a line, before a network is built."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.annotation import cli
from src.errors import UserError
from tests.annotation.miniature import BoxFiller, write_coco
from tests.conftest import RunCommand
from tests.running import ROOT

pytest.importorskip("pycocotools")


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose("annotate", list(overrides))


@pytest.mark.parametrize(
    ("overrides", "words", "code"),
    [
        (["images=x", "weights=x", "output=x"], "boxes= is missing", 2),
        (["boxes=x", "images=x", "weights=x", "output=y", "format=png"], "rle, polygon", 2),
        (["boxes=x", "images=x", "weights=x", "output=x"], "would replace the boxes", 1),
        (["boxes=x", "images=x", "weights=x", "output=y"], "cannot be read", 1),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    overrides: list[str], words: str, code: int, run_command: RunCommand
) -> None:
    error = run_command("annotate.py", *overrides, code=code)
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


class Loader:
    """Stands in for `Segmenter`; loading it is what takes time."""

    asked: Any = None

    @classmethod
    def from_checkpoint(cls, *arguments: Any, **options: Any) -> Any:
        cls.asked = arguments, options
        segmenter: Any = BoxFiller()
        segmenter.weights = None
        return segmenter


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> type[Loader]:
    monkeypatch.setattr(cli, "Segmenter", Loader)
    monkeypatch.setattr(Loader, "asked", None)
    return Loader


def command(folder: Path, *more: str) -> list[str]:
    places = [f"boxes={folder}/boxes.json", f"images={folder}/images", f"output={folder}/out.json"]
    return [*places, "weights=mine.pth", *more]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_exit_code_says_whether_every_box_gave_a_mask(
    tmp_path: Path, loader: type[Loader]
) -> None:
    write_coco(tmp_path, [[10, 20, 30, 40]])
    assert cli.main(composed(*command(tmp_path, "size=64", "device=cpu"))) == 0
    assert loader.asked == (("mine.pth", None, "cpu"), {"size": 64, "precision": "fp32"})
    write_coco(tmp_path, [[10, 20, 30, 40], [5, 5, 0, 9]])
    assert cli.main(composed(*command(tmp_path))) == 1
    assert (tmp_path / "out.json").is_file()


def test_missing_images_are_told_before_the_network_is_built(
    tmp_path: Path, loader: type[Loader]
) -> None:
    write_coco(tmp_path, [[10, 20, 30, 40]])
    (tmp_path / "images" / "1.jpg").unlink()
    with pytest.raises(UserError, match=r"lacks 1 files: 1\.jpg"):
        cli.main(composed(*command(tmp_path)))
    assert loader.asked is None


class Named(BoxFiller):
    """Says what it is, as a `Segmenter` does."""

    weights: Path

    def __str__(self) -> str:
        return self.name


def test_other_weights_settings_or_boxes_start_anew(tmp_path: Path) -> None:
    cfg, segmenter, weights = composed(*command(tmp_path)), Named(), tmp_path / "mine.pth"
    weights.write_bytes(b"one")
    segmenter.weights = weights

    def key(annotations: list[dict[str, object]] | None = None, **changes: Any) -> str:
        changed = DictConfig({**cfg, **changes})
        return cli._key(changed, annotations or [{"id": 1}], segmenter)  # type: ignore[arg-type]

    first = key()
    assert key() == first
    assert key(output="elsewhere.json") == first
    changes = [key([{"id": 2}]), key(threshold=0.4), key(format="polygon")]
    weights.write_bytes(b"two")
    changes.append(key())
    segmenter.name = "another"
    changes.append(key())
    assert len({first, *changes}) == 6


def test_a_folder_as_output_is_said_before_the_network_is_built(
    tmp_path: Path, loader: type[Loader]
) -> None:
    write_coco(tmp_path, [[10, 20, 30, 40]])
    (tmp_path / "out.json").mkdir()
    with pytest.raises(UserError, match="is a folder; name a file"):
        cli.main(composed(*command(tmp_path)))
    assert loader.asked is None
