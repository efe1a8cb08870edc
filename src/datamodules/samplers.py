"""Which images a process sees, in which order: shuffled shares to train on, shards to score."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from torch.utils.data import BatchSampler, Sampler

from src.datamodules.batch import SampleKey
from src.errors import UserError
from src.settings.multiscale import Multiscale


class Windows(NamedTuple):
    """How a set in shards is shuffled where not all of it is at hand: some shards at a time.

    items: Of each shard, the items that are in it.
    shards: How many are shuffled together.
    """

    items: Sequence[np.ndarray]
    shards: int

    def shards_in_order(self, seed: int, epoch: int) -> list[np.ndarray]:
        """The numbers of the shards of each window, in the order of an epoch."""
        order = np.random.default_rng((seed, epoch)).permutation(len(self.items))
        return [order[i : i + self.shards] for i in range(0, len(order), self.shards)]

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """All items: window by window, those of a window shuffled."""
        windows = self.shards_in_order(seed, epoch)
        # Another stream than the one that the shards are shuffled by.
        generator = np.random.default_rng((seed, epoch, 1))
        return np.concatenate(
            [generator.permutation(np.concatenate([self.items[i] for i in w])) for w in windows]
        )


class TrainSampler(Sampler[SampleKey]):
    """Shuffles by (seed, epoch) and gives each process an equal share that no other sees.

    Args:
        length: Images in the set.
        seed: The run's seed.
        rank: This process.
        world: How many processes.
        drop_last: Drop the images that do not divide evenly among processes; otherwise the
            first of the epoch's order are drawn again.
        weights: Chance of each image, of any sum; an epoch then draws `length` images *with*
            replacement. An image drawn twice in one epoch is augmented alike both times.
        fixed: Neither shuffle nor move on to other epochs: the same batches for ever, which is
            what overfitting on purpose needs.
        windows: Shuffle some shards at a time; None: all images. Not together with weights.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
        weights: np.ndarray | None = None,
        fixed: bool = False,
        windows: Windows | None = None,
    ) -> None:
        if weights is not None and (len(weights) != length or not np.all(weights >= 0)):
            raise ValueError(f"{len(weights)} weights for {length} images; all must be >= 0")
        self.length, self.seed, self.rank, self.world = length, seed, rank, world
        self.drop_last, self.weights, self.fixed = drop_last, weights, fixed
        self.windows = windows
        self.epoch = 0
        self.skipped = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls it before each epoch."""
        self.epoch = 0 if self.fixed else epoch

    def skip(self, draws: int) -> None:
        """Leave out the first draws, in the next iteration only, to resume in mid-epoch."""
        self.skipped = draws

    def __iter__(self) -> Iterator[SampleKey]:
        start, self.skipped = self.skipped, 0
        share = self._order()[self.rank :: self.world][start:]
        return iter([SampleKey(int(item), self.epoch) for item in share])

    def __len__(self) -> int:
        return self._total() // self.world

    def _total(self) -> int:
        if self.drop_last:
            return self.length - self.length % self.world
        return -(-self.length // self.world) * self.world

    def _order(self) -> np.ndarray:
        generator = np.random.default_rng((self.seed, self.epoch))
        if self.fixed:
            order = np.arange(self.length)
        elif self.windows is not None:
            order = self.windows.order(self.seed, self.epoch)
        elif self.weights is None:
            order = generator.permutation(self.length)
        else:
            chances = self.weights / self.weights.sum()
            order = generator.choice(self.length, size=self.length, p=chances)
        return np.resize(order, self._total())


class TrainBatches(BatchSampler):
    """Batches of a `TrainSampler`, each of a size of its own where sizes are given.

    Args:
        order: Decides the order.
        batch_size: Images in a batch of this process.
        drop_last: Drop the last batch where it is not full.
        multiscale: The sizes; None: all batches have the processor's.
    """

    def __init__(
        self,
        order: TrainSampler,
        batch_size: int,
        drop_last: bool,
        multiscale: Multiscale | None = None,
    ) -> None:
        super().__init__(order, batch_size, drop_last)  # type: ignore[arg-type]
        self.order, self.multiscale = order, multiscale

    def __iter__(self) -> Iterator[list[SampleKey]]:  # type: ignore[override]
        first = self.order.skipped // self.batch_size
        for number, batch in enumerate(super().__iter__(), first):
            keys = cast(list[SampleKey], batch)
            if self.multiscale is not None:
                size = self.multiscale.draw(self.order.seed, self.order.epoch, number)
                keys = [key._replace(size=size) for key in keys]
            yield keys


class ShardSampler(Sampler[int]):
    """Every `world`-th image from `rank` on: over all processes each image exactly once.

    Shares may differ by one image and may be empty: nothing is repeated to even them out, since
    a repeated image would be scored twice.
    """

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        self.items = range(rank, length, world)

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class HardExamples:
    """Draws images the more often, the worse an earlier run did on them.

    Args:
        csv: A per-image result file with the column `name`.
        column: The measure that says how hard an image is.
        higher_is_harder: True for errors such as `mae`, False for scores such as `max_f`.
        strength: The hardest image is drawn (1 + strength) times as often as the easiest.
    """

    csv: str
    column: str = "mae"
    higher_is_harder: bool = True
    strength: float = 1.0

    def weights(self, names: Sequence[str]) -> np.ndarray:
        """One weight for each name.

        Raises:
            UserError: File or column missing, or a name without a row.
        """
        values = self._read()
        if missing := [name for name in names if name not in values]:
            raise UserError(f"{self.csv}: no row for {len(missing)} images, the first {missing[0]}")
        measured = np.array([values[name] for name in names])
        # Ranks, not values: one outlier would otherwise take the whole range.
        ranks = measured.argsort().argsort() / max(len(names) - 1, 1)
        return 1 + self.strength * (ranks if self.higher_is_harder else 1 - ranks)

    def _read(self) -> dict[str, float]:
        path = Path(self.csv).expanduser()
        if not path.is_file():
            raise UserError(f"data.sampling_weights: no file {path}")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"name", self.column} <= set(columns):
                raise UserError(f"{path}: has columns {list(columns)}, needs name, {self.column}")
            return {row["name"]: float(row[self.column]) for row in reader}


def shares_to_weights(shares: Mapping[str, float], sets: Sequence[str]) -> np.ndarray:
    """Turn the share of each set among the draws into a weight of each image.

    Args:
        shares: By set name, of any sum.
        sets: The set of each image.

    Raises:
        UserError: Shares that do not name exactly the sets there are.
    """
    counts = Counter(sets)
    if set(shares) != set(counts):
        raise UserError(
            f"data.sampling_weights names {sorted(shares)}; the sets are {sorted(counts)}"
        )
    return np.array([shares[name] / counts[name] for name in sets])
