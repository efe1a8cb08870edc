"""Objects are compared with their filled box and with GrabCut, by the model's own metrics."""

from types import SimpleNamespace

import numpy as np
import pytest

from src.callbacks.baselines import score_baselines
from src.datamodules.clicks import ExtremePoints
from src.datamodules.instance_sources import Instance
from src.datamodules.instances import InstanceDataset
from src.processing import Processor

METRICS = ["iou", "error_percent", "mapr_50"]


class Discs:
    """A bright disc on dark noise, twice."""

    sets = ("discs",)
    names = ("one", "two")

    def __len__(self) -> int:
        return 2

    def sample(self, item: int) -> Instance:
        y, x = np.mgrid[:90, :120]
        disc = np.hypot(x - 50, y - 45) <= 20
        noise = np.random.default_rng(item).integers(0, 60, (90, 120, 3))
        image = (noise + 150 * disc[..., None]).astype(np.uint8)
        mask = disc.astype(np.uint8) * np.uint8(255)
        void = np.zeros_like(mask)
        return Instance(image, mask, void, self.names[item], item)


def rows(discs: type[Discs] = Discs) -> dict[str, dict[str, float]]:
    dataset = InstanceDataset(discs(), Processor(64), ExtremePoints(relax=20), evaluate=True)  # type: ignore[arg-type]
    module = SimpleNamespace(test_sets={"discs": dataset})
    scored = score_baselines(module, (64, 64), METRICS)
    assert all((name, count) == ("discs", 2) for _, name, count, _ in scored)
    return {method: values for method, _, _, values in scored}


def test_the_box_scores_what_a_disc_fills_of_it() -> None:
    scored = rows()
    assert list(scored) == ["box filled", "GrabCut"]
    disc = np.count_nonzero(Discs().sample(0).mask)
    assert scored["box filled"]["iou"] == pytest.approx(disc / 41**2)
    assert scored["box filled"]["mapr_50"] == 1


def test_grabcut_finds_a_plain_object_and_repeats_itself() -> None:
    scored = rows()["GrabCut"]
    assert scored["iou"] > 0.97
    assert scored["error_percent"] < 2
    assert rows()["GrabCut"] == scored


def test_void_pixels_do_not_count() -> None:
    """A column of the box is void beside the object: the filled box is wrong there or is not."""

    class Beside(Discs):
        counts = False

        def sample(self, item: int) -> Instance:
            instance = super().sample(0)
            void = np.zeros_like(instance.void)
            void[:, 30:40] = 0 if self.counts else 255
            mask = np.where(np.arange(120) < 40, 0, instance.mask).astype(np.uint8)
            mask[45, 30] = instance.mask[45, 30]  # keeps the box as wide as the disc
            return instance._replace(mask=mask, void=void)

    class Counted(Beside):
        counts = True

    assert rows(Beside)["box filled"]["iou"] > rows(Counted)["box filled"]["iou"] + 0.1
