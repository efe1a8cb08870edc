"""Clicks in, masks out: the same as evaluation computes, and nothing computed twice."""

from typing import Any

import numpy as np
import pytest
import torch

from src.datamodules.batch import collate
from src.datamodules.clicks import Prompts, extreme_points, inside_outside_points, next_click
from src.datamodules.instances import InstanceDataset
from src.errors import UserError
from src.inference import Segmenter, interactive
from src.lit_modules.refinement import RefinementModule
from src.lit_modules.segmentation import SegmentationModule
from src.processing import Processor
from src.processing.crop import box_of_mask, crop
from tests.inference.clicked import DEXTR, IOG, SIZE, Guided, OneObject, Refining, segmenter
from tests.inference.tiny import finder

INPUTS: Any = ["image", "prompt"]


def evaluated(
    module: SegmentationModule, paper: tuple[Processor, Prompts], source: OneObject
) -> Any:
    """A batch of the one object, as the module sees it in testing."""
    dataset = InstanceDataset(source, *paper, evaluate=True)
    return module.as_floats(collate([dataset[0]]))


def users_clicks(source: OneObject, paper: tuple[Processor, Prompts]) -> dict[str, Any]:
    """The points that the data set draws, as a user would give them: in pixels of the image."""
    _, prompts = paper
    instance, rng = source.sample(0), np.random.default_rng(0)
    box = box_of_mask(instance.mask, prompts.relax)
    seen = crop(instance.mask, box)
    if paper is DEXTR:
        return {"points": extreme_points(seen, rng) + box[:2]}
    inside = inside_outside_points(seen, rng)[:1]
    return {"points": inside + box[:2], "box": box_of_mask(instance.mask)}


@pytest.mark.parametrize(("paper", "maps"), [(DEXTR, 1), (IOG, 2)])
def test_is_what_evaluation_restores(paper: tuple[Processor, Prompts], maps: int) -> None:
    """To the bit, where the crop has the network's size and no click is rounded."""
    network, source = Guided(maps).eval(), OneObject()
    module = SegmentationModule(network, paper[0], INPUTS, {}, torch.optim.SGD)
    with torch.inference_mode():
        (expected,) = module.predictions(evaluated(module, paper, source))

    answering = segmenter(network, paper)
    answering.set_image(source.sample(0).image)
    mask = answering.predict(**users_clicks(source, paper))

    assert mask.dtype == np.uint8
    assert mask.shape == (120, 150)
    assert 0 < mask.mean() < 255
    assert np.array_equal(mask, expected.numpy())


@pytest.mark.parametrize(("paper", "maps"), [(DEXTR, 1), (IOG, 2)])
@pytest.mark.parametrize("side", [30, 70])
def test_stays_close_where_clicks_are_rounded(
    paper: tuple[Processor, Prompts], maps: int, side: int
) -> None:
    network, source = Guided(maps).eval(), OneObject(side)
    module = SegmentationModule(network, paper[0], INPUTS, {}, torch.optim.SGD)
    batch = evaluated(module, paper, source)
    with torch.inference_mode():
        (expected,) = module.predictions(batch)

    answering = segmenter(network, paper)
    answering.set_image(source.sample(0).image)
    mask = answering.predict(**users_clicks(source, paper))

    assert np.abs(mask.astype(int) - expected.numpy()).mean() < 2.5


def test_a_correction_is_the_click_that_evaluation_simulates() -> None:
    network, source = Refining().eval(), OneObject()
    module = RefinementModule(network, IOG[0], INPUTS, {}, torch.optim.SGD)
    batch = evaluated(module, IOG, source)
    with torch.inference_mode():
        first, second = (output.masks[0] for output in module.passes(batch, clicks=1))
    predicted, target = (first[0, 0] > 0).numpy(), (batch["mask"][0, 0] >= 0.5).numpy()
    click = next_click(predicted, target, np.random.default_rng(0))
    assert click is not None
    offset = np.array(box_of_mask(source.sample(0).mask, IOG[1].relax)[:2])

    answering, asked = segmenter(network, IOG), users_clicks(source, IOG)
    answering.set_image(source.sample(0).image)
    points = [asked["points"][0], offset + click[:2]]
    mask = answering.predict(points, [1, int(click.inside)], asked["box"])

    assert np.array_equal(mask, module.restored(second, batch)[0].numpy())
    assert not np.array_equal(mask, module.restored(first, batch)[0].numpy())


def test_picture_crop_and_encoding_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"as_seen": 0, "crop": 0}

    def count(name: str) -> None:
        real = getattr(interactive, name)

        def counted(*args: Any) -> Any:
            calls[name] += 1
            return real(*args)

        monkeypatch.setattr(interactive, name, counted)

    for name in calls:
        count(name)
    network, image = Refining(), OneObject().sample(0).image
    answering = segmenter(network, IOG)
    answering.set_image(image)
    box = (10, 40, 65, 95)
    masks = [
        answering.predict([(35, 70)], box=box),
        answering.predict([(35, 70), (20, 50)], [1, 0], box),
        answering.predict([(35, 70), (20, 50), (50, 80)], [1, 0, 1], box),
        answering.predict([(35, 70)], box=box),
    ]
    assert (calls["as_seen"], calls["crop"], network.encoded) == (1, 1, 1)
    assert np.array_equal(masks[0], masks[3])  # undo: corrections leave nothing behind
    assert not np.array_equal(masks[0], masks[1])
    assert network.seen[1][0, 1].max() == 255
    answering.predict([(90, 30)], box=(70, 10, 120, 60))  # another object of the same image
    assert (calls["as_seen"], calls["crop"], network.encoded) == (1, 2, 2)
    answering.set_image(image)
    answering.predict([(90, 30)], box=(70, 10, 120, 60))
    assert (calls["as_seen"], calls["crop"], network.encoded) == (2, 3, 3)


def test_two_corners_say_the_same_as_a_box() -> None:
    answering = segmenter(Guided(2), IOG)
    answering.set_image(OneObject().sample(0).image)
    by_box = answering.predict([(30, 60)], box=(10, 40, 65, 95))
    for corners in ([(10, 40), (65, 95)], [(65, 40), (10, 95)]):
        assert np.array_equal(answering.predict([*corners, (30, 60)], [0, 0, 1]), by_box)


def test_a_box_alone_is_clicked_in_its_centre_and_cut_to_the_picture() -> None:
    answering = segmenter(Guided(2), IOG)
    answering.set_image(OneObject().sample(0).image)
    alone = answering.predict(box=(10, 40, 64, 94))
    assert np.array_equal(alone, answering.predict([(37, 67)], box=(10, 40, 64, 94)))
    assert np.array_equal(
        answering.predict(box=(-9, -9, 64, 94)), answering.predict(box=(0, 0, 64, 94))
    )


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: segmenter(Guided(1), DEXTR), "extreme_points"),
        (lambda: segmenter(Guided(2), IOG), "inside_outside"),
        (lambda: segmenter(Refining(), IOG), "refine"),
        (finder, None),
    ],
)
def test_says_which_clicks_it_needs(make: Any, kind: str | None) -> None:
    assert make().clicks == kind


FOUR = [(10, 50), (60, 52), (30, 20), (33, 80)]
BOX = (10, 20, 60, 80)


@pytest.mark.parametrize(
    ("paper", "clicks", "words"),
    [
        (DEXTR, {"points": FOUR[:3]}, "3 points given, 4 needed"),
        (DEXTR, {}, "0 points given"),
        (DEXTR, {"points": FOUR, "box": BOX}, "takes no box"),
        (IOG, {}, "where is the object"),
        (IOG, {"points": [(70, 40)], "box": BOX}, "inside point .70, 40. lies outside of the box"),
        (IOG, {"box": (200, 20, 260, 80)}, "no pixel in an image of 150 × 120"),
        (IOG, {"points": [(30, 40), (40, 40)], "box": BOX}, "iog_refine takes corrections"),
    ],
)
def test_clicks_that_cannot_be_meant(paper: Any, clicks: dict[str, Any], words: str) -> None:
    answering = segmenter(Guided(1 if paper is DEXTR else 2), paper)
    answering.set_image(OneObject().sample(0).image)
    with pytest.raises(UserError, match=words):
        answering.predict(**clicks)
    good = {"points": FOUR} if paper is DEXTR else {"box": BOX}
    assert answering.predict(**good).shape == (120, 150)  # a mistake does no lasting harm


def test_a_correction_where_nothing_is_looked_at() -> None:
    answering = segmenter(Refining(), IOG)
    answering.set_image(OneObject().sample(0).image)
    with pytest.raises(UserError, match=r"click \(140, 50\) lies outside of"):
        answering.predict([(30, 40), (140, 50)], box=BOX)


def test_clicks_before_a_picture_and_without_a_model_for_them() -> None:
    with pytest.raises(UserError, match="call set_image"):
        segmenter(Guided(1), DEXTR).predict(FOUR)
    for ask in (lambda s: s.set_image("photo.jpg"), lambda s: s.predict(FOUR)):
        with pytest.raises(UserError, match="works without clicks: call mask"):
            ask(finder())


def test_a_picture_alone_is_refused_with_the_way_to_go() -> None:
    answering: Segmenter = segmenter(Guided(1), DEXTR)
    with pytest.raises(UserError, match=r"set_image and predict \(docs/interactive\.md\)"):
        answering.mask(OneObject().sample(0).image)
    assert answering.processor.size == (SIZE, SIZE)
