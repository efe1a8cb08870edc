"""Activation checkpointing that leaves the results, running statistics included, as they were."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Checkpointable(nn.Module):
    """A module that can compute its activations again in the backward pass."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute activations again in the backward pass: less memory, the same result, more time.

        By default the blocks that the module is made of keep nothing but their inputs, see
        `checkpoint_blocks`. A module that knows better where to divide itself overrides this.
        """
        checkpoint_blocks(self, enable)


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


def checkpoint_blocks(module: nn.Module, enable: bool = True) -> None:
    """Let the blocks of any module compute their activations again in the backward pass.

    With n layers in a chain, blocks of about √n layers need the least memory (Chen et al., 2016):
    the inputs of all blocks and the inside of one. So a part of more layers than that is divided
    into its own parts, as long as it has any. Parameters, their names and the results stay the
    same. Blocks that are called otherwise than by `block(x)` are left as they are.
    """
    if not enable:
        for part in list(module.modules())[1:]:
            if isinstance(part, _Recomputed):
                part.__class__ = _written_class(part)
            elif isinstance(part, Checkpointable):
                part.set_grad_checkpointing(False)
        return
    for block in list(_blocks(module, math.ceil(math.sqrt(_layers(module))))):
        if isinstance(block, Checkpointable):
            block.set_grad_checkpointing()
        elif not isinstance(block, _Recomputed):
            # The class of the one object, not its `forward`: a copy of the module then calls the
            # copy, and names in its state stay as they are.
            written: Any = type(block)
            block.__class__ = _recomputed(written)


def _layers(module: nn.Module) -> int:
    """Modules without parts of their own: convolutions, norms, activations."""
    return sum(1 for part in module.modules() if not part._modules)


def _blocks(module: nn.Module, layers: int) -> Iterator[nn.Module]:
    """Parts of a module with at most this many layers, or that cannot be divided further."""
    for child in module.children():
        if isinstance(child, Checkpointable) or _is_block(child, layers):
            yield child
        else:
            yield from _blocks(child, layers)


def _is_block(module: nn.Module, layers: int) -> bool:
    if not module._modules:
        return False  # input and output of a single layer are the same to keep
    first = next(part for part in module.modules() if not part._modules)
    if _is_in_place(first):
        return False  # its input is overwritten, so that nothing can be computed from it again
    if _is_chain(module):
        return True
    if isinstance(module, nn.ModuleList | nn.ModuleDict) or type(module) is nn.Sequential:
        return False  # networks often call the members of these one by one
    count = _layers(module)
    divisible = sum(_layers(part) for part in module.children() if part._modules)
    return count <= layers or 2 * divisible < count


def _is_in_place(layer: nn.Module) -> bool:
    return bool(vars(layer).get("inplace", False))


def _is_chain(module: nn.Module) -> bool:
    """Whether a module is a plain sequence of single layers, which `_run_in_parts` divides."""
    plain = _written_class(module) is nn.Sequential
    return plain and not any(layer._modules for layer in module.children())


def _written_class(module: nn.Module) -> Any:
    return type(module).__bases__[1] if isinstance(module, _Recomputed) else type(module)


class _Recomputed(nn.Module):
    """Mixed into the class of a block that is to keep nothing but its inputs."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        forward: Callable[..., Any] = super().forward
        if not (self.training and torch.is_grad_enabled()):
            return forward(*inputs, **named)
        if _is_chain(self):
            return _run_in_parts(list(self.children()), inputs[0])
        given = [value for value in (*inputs, *named.values()) if isinstance(value, Tensor)]
        before = [value._version for value in given]
        output = checkpoint_activations(self, *inputs, run=functools.partial(forward, **named))
        if before != [value._version for value in given]:
            raise ValueError(
                f"{type(self).__name__} changes its input in place, so that it cannot be computed "
                "again: take inplace=True out of its first layer, or override "
                "set_grad_checkpointing of the network (docs/extend.md)"
            )
        return output


@functools.cache
def _recomputed(block: Any) -> Any:
    # Same name and module: messages and `repr` speak of the block as it was written.
    names = {"__module__": block.__module__, "__qualname__": block.__qualname__}
    return type(block.__name__, (_Recomputed, block), names)


def _run_in_parts(layers: list[nn.Module], x: Any) -> Any:
    """Run a chain of layers, about √n at a time, keeping the input of each part."""
    longest = max(3, math.ceil(math.sqrt(len(layers))))  # 3: convolution, norm, activation
    first = 0
    while first < len(layers):
        last = first + longest
        while last < len(layers) and _is_in_place(layers[last]):
            last += 1  # a part that began with it would write into what is kept
        x = checkpoint_activations(nn.Sequential(*layers[first:last]), x)
        first = last
    return x
