"""Orders are functions of (seed, epoch); shares are disjoint; weights are kept."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.datamodules.batch import SampleKey
from src.datamodules.samplers import HardExamples, ShardSampler, TrainSampler, shares_to_weights
from src.errors import UserError


def shares(
    length: int, world: int, epoch: int = 0, drop_last: bool = True
) -> list[list[SampleKey]]:
    samplers = [TrainSampler(length, 7, rank, world, drop_last) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_ranks_share_equally(length: int, world: int, epoch: int, drop_last: bool) -> None:
    parts = shares(length, world, epoch, drop_last)
    items = [draw.item for part in parts for draw in part]
    assert len({len(part) for part in parts}) == 1
    assert len(parts[0]) == len(TrainSampler(length, 7, 0, world, drop_last))
    assert {draw.epoch for part in parts for draw in part} <= {epoch}
    if drop_last:
        assert len(set(items)) == len(items) == length - length % world
    else:
        assert set(items) == set(range(length))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    assert shares(50, 1, epoch=1) == shares(50, 1, epoch=1)
    assert shares(50, 1, epoch=1) != shares(50, 1, epoch=2)
    other = TrainSampler(50, seed=8)
    assert [draw.item for draw in other] != [draw.item for draw in shares(50, 1)[0]]


def test_skip_holds_for_one_pass() -> None:
    sampler = TrainSampler(10, seed=1)
    whole = list(sampler)
    sampler.skip(4)
    assert list(sampler) == whole[4:]
    assert list(sampler) == whole


def test_fixed_never_changes() -> None:
    sampler = TrainSampler(5, seed=1, fixed=True)
    sampler.set_epoch(3)
    assert list(sampler) == [SampleKey(item, 0) for item in range(5)]


@given(st.integers(0, 40), st.integers(1, 5))
def test_shards_hold_each_image_once(length: int, world: int) -> None:
    parts = [list(ShardSampler(length, rank, world)) for rank in range(world)]
    assert sorted(item for part in parts for item in part) == list(range(length))
    assert [len(ShardSampler(length, rank, world)) for rank in range(world)] == list(
        map(len, parts)
    )


def test_shares_of_sets_are_kept() -> None:
    sets = ["DUTS"] * 900 + ["HRSOD"] * 100
    weights = shares_to_weights({"DUTS": 1, "HRSOD": 1}, sets)
    drawn = [draw.item >= 900 for draw in TrainSampler(1000, seed=0, weights=weights)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(UserError, match=r"names \['DUTS'\]; the sets are \['DUTS', 'HRSOD'\]"):
        shares_to_weights({"DUTS": 1}, sets)


def test_hard_examples_weigh_more(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("name,mae,max_f\na,0.1,0.9\nb,0.3,0.5\nc,0.2,0.7\n")
    np.testing.assert_allclose(HardExamples(str(path)).weights(["a", "b", "c"]), [1, 2, 1.5])
    by_score = HardExamples(str(path), "max_f", higher_is_harder=False, strength=3)
    np.testing.assert_allclose(by_score.weights(["a", "b", "c"]), [1, 4, 2.5])
    with pytest.raises(UserError, match="no row for 1 images, the first d"):
        HardExamples(str(path)).weights(["a", "d"])
    with pytest.raises(UserError, match="needs name, iou"):
        HardExamples(str(path), "iou").weights(["a"])
    with pytest.raises(UserError, match="no file"):
        HardExamples(str(tmp_path / "gone.csv")).weights(["a"])
