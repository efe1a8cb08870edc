"""ONNX Runtime gives the masks that PyTorch gives."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from src.engines import onnx_network
from src.errors import UserError
from src.inference import Segmenter
from src.weights.loading import create, to_official


@pytest.fixture
def segmenter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path / "cache"))
    torch.manual_seed(0)
    torch.save(to_official(create("u2netp")), tmp_path / "mine.pth")
    return Segmenter.from_checkpoint(tmp_path / "mine.pth", "u2netp", "cpu", size=64)


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (50 + i, 70, 3), dtype=np.uint8) for i in range(3)]


def test_masks_are_the_same_and_the_file_is_kept(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = segmenter.masks(images())
    segmenter.use_onnxruntime()
    answered = segmenter.masks(images())
    for ours, theirs in zip(answered, expected, strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert ours.std() > 1
    (file,) = (tmp_path / "cache/onnx").glob("*.onnx")
    written = file.stat().st_mtime_ns
    again = Segmenter.from_checkpoint(tmp_path / "mine.pth", "u2netp", "cpu", size=64)
    again.use_onnxruntime()
    assert np.array_equal(again.masks(images())[0], answered[0])
    assert file.stat().st_mtime_ns == written

    # A file that a disk has damaged since is made anew; the exporter's seconds are spared here.
    sound = file.read_bytes()
    file.write_bytes(sound[: len(sound) // 2])
    monkeypatch.setattr(onnx_network, "write_network", lambda *_: file.write_bytes(sound))
    once_more = Segmenter.from_checkpoint(tmp_path / "mine.pth", "u2netp", "cpu", size=64)
    once_more.use_onnxruntime()
    assert np.array_equal(once_more.masks(images())[0], answered[0])
    assert file.stat().st_size == len(sound)


def test_only_in_fp32(segmenter: Segmenter, tmp_path: Path) -> None:
    half = Segmenter.from_checkpoint(tmp_path / "mine.pth", "u2netp", "cpu", precision="bf16")
    with pytest.raises(UserError, match="precision=fp32"):
        half.use_onnxruntime()


def test_a_missing_extra_is_named(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "src.engines.formats", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs onnxruntime: pip install -e '?/.*\[export\]'?$"):
        segmenter.use_onnxruntime()
