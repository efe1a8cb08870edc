"""Learning rate schedulers over the length of a training, stepped once per iteration."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class IterationLR(LRScheduler):
    """Base of schedulers that follow a curve over the whole training, after a linear warm-up.

    The rate is the smaller of the warm-up's line, from 0.1 of the base rate to all of it, and the
    curve. Schedulers say in `_curve` what it is.

    Args:
        max_iteration: Length of the training in optimizer steps.
        warmup_iteration: Steps until the whole base rate is allowed; 0 for none.
        warmup_fraction: The warm-up takes at most this fraction of the training, however short it
            is; None for as long as `warmup_iteration` says.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iteration: int,
        warmup_iteration: int = 0,
        last_epoch: int = -1,
        warmup_fraction: float | None = None,
    ) -> None:
        if max_iteration <= 0 or warmup_iteration < 0:
            raise ValueError(
                f"{type(self).__name__}: max_iteration is {max_iteration} and warmup_iteration "
                f"{warmup_iteration}; the first must be positive, the second not negative"
            )
        if warmup_fraction is not None:
            warmup_iteration = min(warmup_iteration, int(warmup_fraction * max_iteration))
        self.max_iteration, self.warmup_iteration = max_iteration, warmup_iteration
        super().__init__(optimizer, last_epoch)

    def stretch(self, max_iteration: int) -> None:
        """Let the curve end elsewhere; from here on the rates are those of that length."""
        if max_iteration == self.max_iteration:
            return
        self.max_iteration = max_iteration
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[Any]:  # torch's own annotation differs between versions
        return [self._rate(float(base)) for base in self.base_lrs]

    def _rate(self, base: float) -> float:
        rate = self._curve(base, min(1.0, self.last_epoch / self.max_iteration))
        if self.last_epoch >= self.warmup_iteration:
            return rate
        return min(base * (0.1 + 0.9 * self.last_epoch / self.warmup_iteration), rate)

    def _curve(self, base: float, done: float) -> float:
        """The rate without warm-up, given the fraction of the training that is done."""
        raise NotImplementedError


class PolyLR(IterationLR):
    """Polynomial decay to a floor: `floor + (base - floor) · (1 - done) ** gamma` (InSPyReNet).

    Args:
        max_iteration: See `IterationLR`, `warmup_iteration` and `warmup_fraction` too.
        minimum_lr: The floor, the same for all parameter groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iteration: int,
        gamma: Annotated[float, Gt(0)] = 0.9,
        minimum_lr: Annotated[float, Ge(0)] = 1e-7,
        warmup_iteration: Annotated[int, Ge(0)] = 12_000,
        last_epoch: int = -1,
        warmup_fraction: float | None = None,
    ) -> None:
        self.gamma, self.minimum_lr = gamma, minimum_lr
        super().__init__(optimizer, max_iteration, warmup_iteration, last_epoch, warmup_fraction)

    def _curve(self, base: float, done: float) -> float:
        return self.minimum_lr + (base - self.minimum_lr) * (1 - done) ** self.gamma


class CosineLR(IterationLR):
    """Half a cosine from the base rate to a floor.

    Args:
        max_iteration: See `IterationLR`, `warmup_iteration` and `warmup_fraction` too.
        minimum_lr: The floor, the same for all parameter groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iteration: int,
        minimum_lr: Annotated[float, Ge(0)] = 0.0,
        warmup_iteration: Annotated[int, Ge(0)] = 0,
        last_epoch: int = -1,
        warmup_fraction: float | None = None,
    ) -> None:
        self.minimum_lr = minimum_lr
        super().__init__(optimizer, max_iteration, warmup_iteration, last_epoch, warmup_fraction)

    def _curve(self, base: float, done: float) -> float:
        return self.minimum_lr + (base - self.minimum_lr) * (1 + math.cos(math.pi * done)) / 2


class StepLR(IterationLR):
    """A factor on the rate at each of several fractions of the training.

    Args:
        max_iteration: See `IterationLR`, `warmup_iteration` and `warmup_fraction` too.
        milestones: Fractions of the training, each in (0, 1].
        gamma: The factor at each of them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iteration: int,
        milestones: Sequence[float] = (0.5, 0.75),
        gamma: Annotated[float, Gt(0)] = 0.1,
        warmup_iteration: Annotated[int, Ge(0)] = 0,
        last_epoch: int = -1,
        warmup_fraction: float | None = None,
    ) -> None:
        # A milestone in steps, as torch's MultiStepLR has it, would never or always be reached.
        if wrong := [milestone for milestone in milestones if not 0 < milestone <= 1]:
            raise ValueError(
                "StepLR: milestones are fractions of the training, above 0 and at most 1, not"
                f" {wrong}"
            )
        self.milestones, self.gamma = tuple(milestones), gamma
        super().__init__(optimizer, max_iteration, warmup_iteration, last_epoch, warmup_fraction)

    def _curve(self, base: float, done: float) -> float:
        return base * self.gamma ** sum(done >= milestone for milestone in self.milestones)
