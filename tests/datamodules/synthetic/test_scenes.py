"""Drawn objects: several in an image, void at their rims, the same at every call."""

import numpy as np
import pytest

from src.datamodules.synthetic.scenes import SyntheticInstances
from src.errors import UserError


def test_a_picture_holds_its_objects_and_void() -> None:
    source = SyntheticInstances(None, "train", images=8, size=96)
    assert len(source) == len(set(source.names)) == 24
    for item in range(len(source)):
        image, mask, void, name, *_ = source.sample(item)
        assert image.shape == (*mask.shape, 3)
        assert image.dtype == mask.dtype == void.dtype == np.uint8
        assert name == source.names[item]
        assert set(np.unique(mask)) == set(np.unique(void)) == {0, 255}
        assert not (mask & void).any()
    first, second = source.sample(0), source.sample(1)
    assert np.array_equal(first.image, second.image)
    assert not (first.mask & second.mask).any()


def test_an_item_is_the_same_at_every_call_and_in_no_other_split() -> None:
    train, test = (SyntheticInstances(None, split, 2, size=96) for split in ("train", "test"))
    assert np.array_equal(train.sample(3).image, train.sample(3).image)
    assert not np.array_equal(train.sample(0).image, train.sample(3).image)
    pair = train.sample(0).image, test.sample(0).image
    assert pair[0].shape != pair[1].shape or not np.array_equal(*pair)
    assert not set(train.sets) & set(test.sets)


@pytest.mark.parametrize(
    "wrong",
    [{"split": "tset"}, {"images": 0}, {"size": 64}, {"objects": 9}, {"image_seed": -1}],
)
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    arguments = {"split": "train", "images": 1, "size": 96} | wrong
    with pytest.raises(UserError, match="synthetic_objects"):
        SyntheticInstances(None, **arguments)  # type: ignore[arg-type]
