"""Devices and precisions: the best there is, or the one asked for, or a sentence."""

import pytest
import torch

from src.errors import UserError
from src.inference.devices import autocast, choose_device


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_accelerator_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == torch.device(chosen)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cpu:first"])
def test_a_device_that_is_not_there_is_told_in_a_line(name: str) -> None:
    with pytest.raises(UserError, match=f"device '{name}' cannot be used here") as caught:
        choose_device(name)
    assert "try device=cpu" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_precision_is_that_of_products(precision: str, dtype: torch.dtype) -> None:
    one = torch.ones(2, 2)
    with autocast(torch.device("cpu"), precision):
        assert (one @ one).dtype == dtype
    assert (one @ one).dtype == torch.float32


def test_fp32_is_fp32_inside_of_an_autocast_too() -> None:
    one = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16), autocast(torch.device("cpu"), "fp32"):
        assert (one @ one).dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp8", "", "float32"])
def test_an_unknown_precision_lists_the_known(precision: str) -> None:
    with pytest.raises(UserError, match="choose one of fp32, bf16, fp16"):
        autocast(torch.device("cpu"), precision)
