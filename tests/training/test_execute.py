"""What a user sees when a run cannot start or cannot go on: one message, no traceback."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from src.errors import UserError
from src.training import execute
from src.training.execute import build, main


def failing(error: Exception):  # type: ignore[no-untyped-def]
    def raise_it(folder: Path) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("data: 2 problems"), "data: 2 problems"),
        (torch.OutOfMemoryError("CUDA out of memory"), "does not fit .* Halve model.batch_size"),
    ],
)
def test_errors_end_in_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, message: str
) -> None:
    monkeypatch.setattr(execute, "execute", failing(error))
    with pytest.raises(UserError, match=message):
        main([str(tmp_path)])


def test_a_refused_value_names_what_refused_it() -> None:
    node = OmegaConf.create({"_target_": "src.processing.Processor", "size": 0})
    with pytest.raises(UserError, match=r"src\.processing\.Processor: model\.size is 0"):
        build(node)


def test_nothing_builds_to_nothing() -> None:
    assert build(None) is None
