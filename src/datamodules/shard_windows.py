"""Which shards a list of pairs lies in, and how they are shuffled some shards at a time."""

from collections.abc import Sequence

import numpy as np

from src.datamodules.pairs import ImageMaskPair
from src.datamodules.samplers import Windows
from src.datamodules.shard_set import ShardSet
from src.errors import CommandError


def shard_sets(pairs: Sequence[ImageMaskPair]) -> list[ShardSet]:
    """The sets of shards that hold some of the pairs, each once."""
    found = {id(p.packed.shards): p.packed.shards for p in pairs if p.packed is not None}
    return list(found.values())


def shards_of(pairs: Sequence[ImageMaskPair]) -> dict[tuple[int, int], list[int]]:
    """The items of each shard that holds any, by its set's place in `shard_sets` and its number."""
    places = {id(shards): place for place, shards in enumerate(shard_sets(pairs))}
    found: dict[tuple[int, int], list[int]] = {
        (place, number): []
        for place, shards in enumerate(shard_sets(pairs))
        for number in range(len(shards.index.shards))
    }
    for item, pair in enumerate(pairs):
        if pair.packed is not None:
            found[places[id(pair.packed.shards)], pair.packed.shard].append(item)
    return {shard: items for shard, items in found.items() if items}


def windows_of(pairs: Sequence[ImageMaskPair], window: int | None) -> Windows | None:
    """How training pairs are shuffled; None: all of them, which a window of all shards is too."""
    items = shards_of(pairs)
    if window is None or window >= len(items):
        return None
    return Windows([np.array(each) for each in items.values()], window)


def mode_faults(pairs: Sequence[ImageMaskPair], allow_empty: bool, soft: bool) -> list[str]:
    """A line for each set of shards whose masks were taken by another rule than they are read by.

    Args:
        pairs: What is read.
        allow_empty: Masks may be all black.
        soft: Masks are mattes.
    """
    found = []
    for shards in shard_sets(pairs):
        if shards.index.soft and not soft:
            found.append(f"{shards.place}: its masks are mattes; set data.soft=true")
        if shards.index.allow_empty and not allow_empty:
            found.append(
                f"{shards.place}: written with data.allow_empty=true, its masks may be all black;"
                " set it here too"
            )
    return found


def require_shuffled(pairs: Sequence[ImageMaskPair], window: int | None, limit: int) -> None:
    """Refuse a shuffle that the shards at hand do not allow.

    Args:
        pairs: Of the training set.
        window: Shards that are shuffled together; None: all.
        limit: Bytes of the cache of shards from a URL.

    Raises:
        CommandError: With the value that does.
    """
    if window is not None and any(pair.packed is None for pair in pairs):
        raise CommandError(
            "data.shuffle_window shuffles some shards at a time, and data.train is not all of"
            " shards: leave it out, or write the rest with finecut data shard"
        )
    sizes = sorted(
        (
            shard.size
            for shards in shard_sets(pairs)
            if shards.is_remote
            for shard in shards.index.shards
        ),
        reverse=True,
    )
    if not sizes or sum(sizes) <= limit:
        return
    # While one window is trained on, the next one comes.
    fitting = max((n for n in range(1, len(sizes)) if 2 * sum(sizes[:n]) <= limit), default=0)
    if window is not None and window <= fitting:
        return
    said = f"data.shuffle_window={'null' if window is None else window}"
    least = 2 * sizes[0] / 1e9
    raise CommandError(
        f"{said} and data.shard_cache_gb={limit / 1e9:g} do not go together: the shards have"
        f" {sum(sizes) / 1e9:.2f} GB, and "
        + (
            f"the cache holds two windows of {fitting}: set data.shuffle_window={fitting} or less,"
            " or raise data.shard_cache_gb"
            if fitting
            else f"two of them {least:.2f} GB: raise data.shard_cache_gb, or write smaller shards"
        )
    )
