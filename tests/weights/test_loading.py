"""Checkpoints load strictly, under either naming, or fail with a message that helps."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from src.weights.loading import WeightsError, build, load_official, to_official


@pytest.fixture(scope="module")
def official() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return to_official(build("u2netp"))


def test_unknown_network_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"dextr.*iog_refine.*u2netp"):
        build("u3net")


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "_orig_mod."])
@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
def test_wrappers_are_taken_off(
    official: dict[str, torch.Tensor], prefix: str, nest: str | None
) -> None:
    wrapped: dict = {prefix + key: value for key, value in official.items()}
    network = build("u2netp")
    load_official(network, {nest: wrapped, "epoch": 3} if nest else wrapped)
    loaded = to_official(network)
    assert all(torch.equal(loaded[key], value) for key, value in official.items())


def test_loads_a_file_and_reports_two_lines(
    official: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "u2netp.pth"
    torch.save(official, path)
    report = load_official(build("u2netp"), path)
    assert len(str(report).splitlines()) == 2
    assert report.matched == report.total == len(official)
    assert torch.equal(to_official(build("u2netp", path))["outconv.bias"], official["outconv.bias"])


def test_files_without_batch_counters_load(official: dict[str, torch.Tensor]) -> None:
    old = {k: v for k, v in official.items() if not k.endswith("num_batches_tracked")}
    assert not load_official(build("u2netp"), old).missing


def test_another_models_checkpoint_is_refused(official: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"does not fit ISNet[\s\S]*missing in the file"):
        load_official(build("isnet"), official)


def test_misshapen_entries_are_named_with_both_shapes(official: dict[str, torch.Tensor]) -> None:
    bad = {**official, "side1.weight": torch.zeros(1, 32, 3, 3)}
    with pytest.raises(WeightsError, match=r"heads\.0\.weight: checkpoint \(1, 32, 3, 3\)"):
        load_official(build("u2netp"), bad)


def test_partial_loading_only_when_asked(official: dict[str, torch.Tensor]) -> None:
    part = {k: v for k, v in official.items() if not k.startswith("side6")}
    with pytest.raises(WeightsError, match="2 missing"):
        load_official(build("u2netp"), part)
    report = load_official(build("u2netp"), part, allow_partial=True)
    assert report.missing == ["heads.5.weight", "heads.5.bias"]


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model": nn.Conv2d(1, 1, 1)}, path)  # a pickled object, not tensors
    with pytest.raises(WeightsError, match=r"evil\.pth: not a readable checkpoint"):
        build("u2netp", path)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        build("u2netp", tmp_path / "absent.pth")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\x03\x04 not all of it")
    with pytest.raises(WeightsError, match=r"broken\.pth"):
        build("u2netp", broken)


def test_not_a_state_dict(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no tensors"):
        load_official(build("u2netp"), {"epoch": 1})  # type: ignore[dict-item]


def test_safetensors_load_as_files_of_torch_do(
    official: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "u2netp.safetensors"
    halves = {k: v.half() if v.is_floating_point() else v for k, v in official.items()}
    save_file(halves, path, metadata={"format": "pt"})
    network = build("u2netp", path)
    assert torch.equal(to_official(network)["outconv.bias"], halves["outconv.bias"].float())
    assert next(network.parameters()).dtype == torch.float32
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(WeightsError, match=r"u2netp\.safetensors is damaged \(.*\); download"):
        build("u2netp", path)
