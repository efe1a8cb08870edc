"""What there is to measure: engines times precisions, and why some of it cannot be here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from src.engines.runtimes import ENGINES, EngineName, precisions, why_not_installed

_HALVES = ("bf16", "fp16")


class Variant(NamedTuple):
    """An engine in a precision; `compiled`: PyTorch through torch.compile."""

    engine: EngineName
    precision: str
    compiled: bool = False

    @property
    def name(self) -> str:
        return "torch.compile" if self.compiled else self.engine


class Planned(NamedTuple):
    """A variant, and why it cannot be measured here; None where it can."""

    variant: Variant
    obstacle: str | None = None


def plan(engines: Sequence[EngineName], device: torch.device) -> list[Planned]:
    """Every engine in every precision that the processor computes without emulating it.

    An engine that is not installed, or does not run on the device, is one row that says so.
    """
    return [row for engine in ENGINES if engine in engines for row in _of_engine(engine, device)]


def _of_engine(engine: EngineName, device: torch.device) -> Iterator[Planned]:
    if (reason := why_not_installed(engine)) is not None:
        yield Planned(Variant(engine, "fp32"), reason)
        return
    able = precisions(engine, device)
    if not able:
        yield Planned(Variant(engine, "fp32"), "runs on the CPU: device=cpu")
        return
    for precision in able:
        yield Planned(Variant(engine, precision))
    if engine == "torch":
        halves = [each for each in able if each in _HALVES and device.type == "cuda"]
        for precision in ("fp32", *halves):
            yield Planned(Variant(engine, precision, compiled=True))
