"""Saves and restores the random generators of all ranks, as plain values a checkpoint may hold."""

import random
from typing import Any

import numpy as np
import torch
import torch.distributed as dist


def random_state() -> dict[int, Any]:
    """The generators' states by rank; collective, so every rank must call it."""
    states: list[Any] = [_local_state()]
    if dist.is_available() and dist.is_initialized():
        states = [None] * dist.get_world_size()
        dist.all_gather_object(states, _local_state())
    return dict(enumerate(states))


def restore_random_state(states: dict[int, Any]) -> None:
    """Set this rank's generators. A rank that did not exist when they were saved keeps its own."""
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    if rank not in states:
        return
    state = states[rank]
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"][0])


def require_random_state(states: Any) -> None:
    """Refuse what `restore_random_state` could not set; no generator in use is touched.

    Raises:
        ValueError: It is missing or damaged; the message says which part.
    """
    if not isinstance(states, dict) or not states:
        raise ValueError("missing")
    for rank, state in states.items():
        part = "damaged"
        try:
            part = "damaged (Python's)"
            version, internal, gauss = state["python"]
            random.Random().setstate((version, tuple(internal), gauss))
            part = "damaged (NumPy's)"
            name, keys, *rest = state["numpy"]
            np.random.RandomState().set_state((name, np.array(keys, dtype=np.uint32), *rest))
            part = "damaged (torch's)"
            torch.Generator().set_state(state["torch"])
            if not all(isinstance(one, torch.Tensor) for one in state["cuda"]):
                raise TypeError
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError, IndexError):
            raise ValueError(f"{part}, process {rank}") from None


def _local_state() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": (version, list(internal), gauss),
        "numpy": (name, keys.tolist(), *rest),  # type: ignore[union-attr]
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }
