"""`predict.py` as a user calls it."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from src.errors import UserError
from src.inference.cli import main
from src.weights.loading import create, to_official
from tests.conftest import RunCommand
from tests.inference.tiny import save_picture
from tests.running import run, without_training

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(to_official(create("u2netp")), path)
    return path


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return without_training(compose("predict", list(overrides)))


def test_the_interface_others_rely_on(weights: Path, tmp_path: Path) -> None:
    """predict.py model=u2netp input=DIR weights=FILE type=… output=DIR, in a new process."""
    save_picture(tmp_path / "in/a.jpg")
    save_picture(tmp_path / "in/b/c.png")
    words = ["model=u2netp", "model.size=32", f"input={tmp_path / 'in'}", f"weights={weights}"]
    output = run(
        "predict.py", [*words, "type=[rgba,#ff8800]", f"output={tmp_path / 'out'}"], tmp_path
    )
    assert "32×32" in output
    with Image.open(tmp_path / "out/rgba/b/c.png") as image:
        assert image.mode == "RGBA"
        assert image.size == (120, 90)
    assert (tmp_path / "out/ff8800/a.jpg").is_file()


def test_a_destination_inside_the_input_is_not_read_again(weights: Path, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.jpg")
    cfg = composed(
        "model=u2netp", "size=32", f"weights={weights}", f"input={tmp_path}",
        f"output={tmp_path / 'masks'}", "device=cpu",
    )  # fmt: skip
    assert main(cfg) == 0
    assert main(cfg) == 0
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("overrides", "words", "code"),
    [
        (["input=x"], "weights= is missing", 2),
        (["weights=x"], "input= is missing", 2),
        (["weights=nowhere.pth", "input=."], "no image", 1),
        (["weights=x", "input=x", "type=sepia"], "sepia", 1),
    ],
)
def test_what_is_missing_is_said_in_a_line(
    overrides: list[str], words: str, code: int, run_command: RunCommand
) -> None:
    error = run_command("predict.py", *overrides, code=code)
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


def test_a_failed_file_is_an_exit_code(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no")
    cfg = composed(
        "model=u2netp", f"weights={weights}", f"input={tmp_path}",
        f"output={tmp_path / 'out'}", "device=cpu",
    )  # fmt: skip
    assert main(cfg) == 1


def test_where_nothing_can_be_written_is_said_once_and_first(
    tmp_path: Path,
) -> None:
    save_picture(tmp_path / "in/a.jpg")
    (tmp_path / "file").touch()
    cfg = composed("weights=x", f"input={tmp_path / 'in'}", f"output={tmp_path / 'file/out'}")
    with pytest.raises(UserError, match="file/out: Not a directory: a part of this path is a file"):
        main(cfg)


def test_images_that_were_left_out_are_an_exit_code(weights: Path, tmp_path: Path) -> None:
    save_picture(tmp_path / "in/bad\udcff.jpg")
    (tmp_path / "in/b.HEIC").touch()
    cfg = composed(
        "model=u2netp", "size=32", f"weights={weights}", f"input={tmp_path / 'in'}",
        f"output={tmp_path / 'out'}", "device=cpu",
    )  # fmt: skip
    assert main(cfg) == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["bad\udcff.png"]
    (tmp_path / "in/b.HEIC").unlink()
    (tmp_path / "in/notes.txt").touch()
    assert main(cfg) == 0
