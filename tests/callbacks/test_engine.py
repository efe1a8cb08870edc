"""A test in another engine: its scores are PyTorch's, and the run says which engine it was."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from src.callbacks.engine import ScoreInEngine
from src.errors import UserError
from tests.inference.tiny import PROCESSOR, RedFinder


def trained(**differing: Any) -> Any:
    """What the callback sees of a module."""
    said = {
        "network": RedFinder(),
        "processor": PROCESSOR,
        "identity": {"model": "finder"},
        "device": torch.device("cpu"),
    }
    return SimpleNamespace(**{**said, **differing})


def trainer(folder: Path, precision: str = "32-true") -> Any:
    return SimpleNamespace(precision=precision, is_global_zero=True, default_root_dir=str(folder))


def test_the_network_is_replaced_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path))
    module, image = trained(), torch.rand(2, 3, 64, 64)
    expected = module.network(image).masks[0]
    ScoreInEngine("onnxruntime").on_test_epoch_start(trainer(tmp_path), module)
    assert not isinstance(module.network, RedFinder)
    assert torch.allclose(module.network(image).masks[0], expected, atol=1e-4)
    said = json.loads((tmp_path / "provenance.json").read_text())["engine"]
    assert said.startswith("onnxruntime ")


@pytest.mark.parametrize(
    ("engine", "differing", "precision", "words"),
    [
        ("onnxruntime", {"device": torch.device("meta")}, "32-true", "device=cpu"),
        ("onnxruntime", {}, "bf16-mixed", "not bf16"),
        ("tensorrt", {}, "32-true", "'tensorrt' is unknown"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(
    engine: str, differing: dict, precision: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        ScoreInEngine(engine).on_test_epoch_start(
            trainer(tmp_path, precision), trained(**differing)
        )
