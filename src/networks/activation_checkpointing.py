"""Activation checkpointing that leaves the results, running statistics included, as they were."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_activations(
    module: nn.Module, *inputs: Any, run: Callable[..., Any] | None = None
) -> Any:
    """Call `module`, keeping nothing for the backward pass but `inputs`.

    Costs a second forward pass during backward. BatchNorm must not count the batch a second time
    then, so that running statistics are the same as without.

    Args:
        run: What to call instead of `module`, whose submodules do the work.
    """
    function = run or module
    if not torch.is_grad_enabled():
        return function(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _running_statistics_untouched(module)

    return checkpoint(function, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _running_statistics_untouched(module: nn.Module) -> Iterator[None]:
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
