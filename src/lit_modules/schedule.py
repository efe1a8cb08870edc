"""Learning rate schedules that torch does not have."""

from typing import Annotated, Any

from annotated_types import Ge, Gt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class PolyLR(LRScheduler):
    """Polynomial decay to a floor with linear warm-up, stepped once per iteration (InSPyReNet).

    The rate is the smaller of the warm-up's line, from 0.1 of the base rate to all of it, and the
    decay `floor + (base - floor) · (1 - iteration / max_iteration) ** gamma`. It stays at the
    floor after `max_iteration`.

    Args:
        max_iteration: Length of the training in optimizer steps.
        minimum_lr: The floor, the same for all parameter groups.
        warmup_iteration: Steps until the whole base rate is allowed; 0 for none.
        warmup_share: The warm-up takes at most this share of the training, however short it is;
            None for as long as `warmup_iteration` says.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iteration: int,
        gamma: Annotated[float, Gt(0)] = 0.9,
        minimum_lr: Annotated[float, Ge(0)] = 1e-7,
        warmup_iteration: Annotated[int, Ge(0)] = 12_000,
        last_epoch: int = -1,
        warmup_share: float | None = None,
    ) -> None:
        if max_iteration <= 0 or warmup_iteration < 0:
            raise ValueError(
                f"PolyLR: max_iteration is {max_iteration} and warmup_iteration {warmup_iteration};"
                " the first must be positive, the second not negative"
            )
        if warmup_share is not None:
            warmup_iteration = min(warmup_iteration, int(warmup_share * max_iteration))
        self.max_iteration, self.warmup_iteration = max_iteration, warmup_iteration
        self.gamma, self.minimum_lr = gamma, minimum_lr
        super().__init__(optimizer, last_epoch)

    def stretch(self, max_iteration: int) -> None:
        """Let the decay end elsewhere; from here on the rates are those of that length."""
        if max_iteration == self.max_iteration:
            return
        self.max_iteration = max_iteration
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[Any]:  # torch's own annotation differs between versions
        return [self._rate(float(base)) for base in self.base_lrs]

    def _rate(self, base: float) -> float:
        left = max(0.0, 1 - self.last_epoch / self.max_iteration)
        decayed = self.minimum_lr + (base - self.minimum_lr) * left**self.gamma
        if self.last_epoch >= self.warmup_iteration:
            return decayed
        return min(base * (0.1 + 0.9 * self.last_epoch / self.warmup_iteration), decayed)
