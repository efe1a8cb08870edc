"""`weights=hf:user/name` reads a model from the Hub, once, and of one commit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from src.errors import UserError
from src.weights.checkpoint import read_checkpoint
from src.weights.registry import RegistryError, locate, resolve
from tests.file_servers import MODEL, ModelServer, model_server

CONFIG = b"""{"finecut": {"model": "u2netp", "network": {"_target_": "src.networks.u2net.U2Net"},
"processor": {"size": [32, 32]}, "inputs": ["image"]}}"""
WEIGHTS = save({"weight": torch.ones(2)}, {"format": "pt"})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelServer]:
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.delenv("FINECUT_OFFLINE", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with model_server(monkeypatch, {"config.json": CONFIG, "model.safetensors": WEIGHTS}) as server:
        yield server


def transfers(hub: ModelServer) -> int:
    return len(hub.asked)


def test_a_model_comes_once_with_its_config(
    hub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = resolve(f"hf:{MODEL}")
    assert path.is_relative_to(tmp_path / "cache/hub")
    assert path.read_bytes() == WEIGHTS
    found = read_checkpoint(f"hf:{MODEL}")
    assert found.metadata is not None
    assert found.metadata.model == "u2netp"
    assert transfers(hub) == 2
    monkeypatch.setenv("FINECUT_OFFLINE", "1")
    assert locate(f"hf:{MODEL}") == path
    with pytest.raises(RegistryError, match=r"is not here yet, and cannot be fetched \(FINECUT"):
        locate("hf:somebody/else")
    assert transfers(hub) == 2


def test_a_revision_is_asked_for(hub: ModelServer) -> None:
    assert locate(f"hf:{MODEL}@v1").read_bytes() == WEIGHTS
    with pytest.raises(RegistryError, match="there is no revision v2"):
        locate(f"hf:{MODEL}@v2")


def test_a_model_of_others_without_a_config(hub: ModelServer) -> None:
    del hub.files["config.json"]
    assert read_checkpoint(f"hf:{MODEL}").metadata is None


def test_what_is_not_there_is_said_in_a_line(hub: ModelServer) -> None:
    hub.files = {"config.json": CONFIG}
    for name, reason in (
        (f"hf:{MODEL}", "has no model.safetensors; is it a model of another kind?"),
        ("hf:somebody/else", "no such model on the Hub, or a private one"),
        ("hf:somebody", "it is hf:user/name, or hf:user/name@revision"),
        ("hf:../etc/passwd", "it is hf:user/name"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            locate(name)
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)
