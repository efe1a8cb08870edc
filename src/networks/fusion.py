"""Makes a trained network faster to run, without changing what it computes.

A BatchNorm that no longer learns is a scale and a shift per channel, which the convolution before
it can do itself. Maps lie in memory with their channels together (`channels_last`), which is how
convolutions read them fastest, on CPUs as on GPUs.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from src.networks.network import Network

log = logging.getLogger(__name__)

_SIDE = 64  # of the image that is tried, unless the network takes larger ones only
_OTHER_SIDE = 512  # for networks that do not say so
# Of the largest answer. Measured on the networks of ours, rounding makes 5e-6 of fp32 on a CPU;
# GPUs may multiply with the ten bits of TF32.
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
_COARSE = 0.05


class _Trial(NamedTuple):
    """An image, what the network answered, and which norm was fed by which convolution."""

    image: Tensor
    answer: list[Tensor]
    pairs: dict[nn.Conv2d, nn.Module]


def fuse_conv_bn(network: Network) -> Network:
    """Fuse the BatchNorms of an evaluated network into their convolutions, in place.

    Which norm follows which convolution is seen by running the network once on a small image of
    noise, never from the order in which they are registered; norms that follow something else
    stay, unless the network's `commuting_norms` say which convolution can do their work. The
    answer is compared with that from before, and where the two differ, nothing is fused and a
    warning is logged. What the network answers stays the same up to rounding; it cannot be trained
    any more, nor loaded from or saved as a checkpoint.

    Raises:
        ValueError: The network is in training mode.
    """
    if network.training:
        raise ValueError("fuse_conv_bn: the network is in training mode; call eval() first")
    network = network.to(memory_format=torch.channels_last)
    if not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return network
    trial = _try(network)
    if trial is None:
        log.warning(
            "%s does not run on an image of noise, so that its norms are not fused: it answers "
            "the same, slower",
            type(network).__name__,
        )
        return network
    before = _fuse(network, {**_declared(network), **trial.pairs})
    if not _same(trial.answer, _answer(network, trial.image)):
        _undo(before)
        log.warning(
            "%s would answer otherwise with its norms fused into its convolutions, so that they "
            "are not: it answers the same, slower",
            type(network).__name__,
        )
    return network.to(memory_format=torch.channels_last)


def _try(network: Network) -> _Trial | None:
    """Run a network on noise of the first size that it takes."""
    like = next(iter(network.parameters()))
    for wanted in (_SIDE, _OTHER_SIDE):
        side = -(-max(wanted, network.min_side) // network.side_multiple) * network.side_multiple
        # On the CPU, by a generator of its own: the run's random numbers stay what they are.
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(1, network.input_channels(), side, side, generator=generator)
        image = noise.to(like.device, like.dtype)
        try:
            with _watched(network) as pairs:
                answer = _answer(network, image)
        except Exception:  # whatever a network says to an image that it does not take
            continue
        return _Trial(image, answer, pairs())
    return None


@torch.no_grad()
def _answer(network: nn.Module, image: Tensor) -> list[Tensor]:
    # `forward`, since calling a compiled network would compile it for this image.
    return list(_tensors(network.forward(image)))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)


@contextmanager
def _watched(network: nn.Module) -> Iterator[Any]:
    """Note what each norm is fed with; afterwards, the pairs that were always together."""
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # by the id of a tensor that stays alive
    runs: Counter[nn.Module] = Counter()
    fed: Counter[tuple[nn.Conv2d, nn.Module]] = Counter()

    def after_conv(conv: Any, _: Any, output: Any) -> None:
        runs[conv] += 1
        made[id(output)] = (output, conv)

    def before_norm(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        runs[norm] += 1
        if inputs and (found := made.get(id(inputs[0]))):
            fed[found[1], norm] += 1

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after_conv))
        elif isinstance(module, _BatchNorm):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        yield lambda: {
            conv: norm
            for (conv, norm), times in fed.items()
            if times == runs[conv] == runs[norm] and _fits(conv, norm)
        }
    finally:
        for hook in hooks:
            hook.remove()


def _declared(network: Network) -> dict[nn.Conv2d, nn.Module]:
    """Pairs that a network says to be exchangeable with what stands between them."""
    return {
        conv: norm
        for conv, norm in network.commuting_norms()
        if isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm)
    }


def _fits(conv: nn.Conv2d, norm: Any) -> bool:
    return (
        norm.num_features == conv.out_channels
        and norm.running_mean is not None
        and not norm.training
    )


_Undone = list[tuple[nn.Module, str, Any]]


def _fuse(network: nn.Module, pairs: Mapping[nn.Conv2d, nn.Module]) -> _Undone:
    """Fuse; answers what was replaced: the module, the name in it, and what was there."""
    before: _Undone = []
    for conv, norm in pairs.items():
        known: Any = norm
        before += [(conv, "weight", conv.weight), (conv, "bias", conv.bias)]
        weight, bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            known.running_mean,
            known.running_var,
            known.eps,
            known.weight,
            known.bias,
        )
        conv.weight, conv.bias = weight, bias
    fused = set(pairs.values())
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in fused:
                before.append((parent, name, child))
                setattr(parent, name, nn.Identity())
    return before


def _undo(before: _Undone) -> None:
    for module, name, value in before:
        setattr(module, name, value)


def _same(before: list[Tensor], after: list[Tensor]) -> bool:
    """Whether answers agree up to rounding; what is not finite agrees with nothing."""
    if len(before) != len(after):
        return False
    for old, new in zip(before, after, strict=True):
        scale = float(old.abs().max()) if old.numel() else 0.0
        exact = old.device.type == "cpu" or old.dtype is torch.float64
        tolerance = scale * (_TOLERANCE.get(old.dtype, _COARSE) if exact else _COARSE)
        if old.shape != new.shape or not bool(((old - new).abs() <= tolerance).all()):
            return False
    return True
