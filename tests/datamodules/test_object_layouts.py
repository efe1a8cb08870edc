"""The files of `conf/data` for sets of objects, on miniatures of the released layouts."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from src.datamodules import check
from src.datamodules.instance_sources import Instance, InstanceSource
from src.datamodules.instances import InstanceDataModule
from src.datamodules.pairs import DataError
from src.instantiate import build
from tests.datamodules.object_layouts import DATA, LAYOUTS, write_cityscapes, write_sets
from tests.test_configs import composed

# What the data-set pages and papers state.
RELEASED = {
    "grabcut": 50,
    "berkeley": 100,
    "davis_interactive": 345,
    "davis_585": 585,
    "coco_mval": 800,
    "cityscapes": 500,
    "sstem": 20,
}
HQSEG_TESTED, HQSEG_TRAINED = 1537, 44_323


def config(name: str, root: Path, command: str = "train") -> DictConfig:
    own = {"train": ["model=iog", "data.num_workers=0"], "check": [f"output={root}/out"]}
    cfg = composed(f"data={name}", f"data.root={root}", *own[command], config=command)
    write_sets(cfg, root)
    return cfg


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Makes the test set of a data config of its miniature, with changes to its keys."""
    monkeypatch.chdir(tmp_path)  # lists of objects are kept in ./cache

    def make(name: str, **changes: object) -> InstanceSource:
        (node,) = config(name, tmp_path).data.test.values()
        return build(OmegaConf.merge(node, changes))(str(tmp_path))  # type: ignore[no-any-return]

    return make


def areas(source: InstanceSource) -> dict[str, int]:
    return {
        name: int((source.sample(item).mask > 0).sum()) for item, name in enumerate(source.names)
    }


@pytest.mark.parametrize("name", DATA)
def test_every_set_is_checked_without_a_problem(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = config(name, tmp_path, command="check")
    assert check.main(cfg) == 0
    report = json.loads((Path(cfg.output) / "report.json").read_text())
    assert report["problems"] == []
    assert {f"test/{name}" for name in DATA[name]} == report["sets"].keys() - {"train"}
    assert all(facts["objects"] > 0 for facts in report["sets"].values())


@pytest.mark.parametrize("name", DATA)
def test_a_checkpoint_is_evaluated_on_every_set(name: str) -> None:
    cfg = composed(f"data={name}", "weights=iog_pascal_sbd", config="evaluate_checkpoint")
    assert list(cfg.data.test) == DATA[name]


def test_all_layouts_are_covered_by_data_configs() -> None:
    assert {name for names in DATA.values() for name in names} == set(LAYOUTS)


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_count_is_expected(name: str) -> None:
    (node,) = composed(f"data={name}").data.test.values()
    assert (node.folder if "folder" in node else node).count == RELEASED[name]


def test_the_released_counts_of_hqseg_add_up() -> None:
    data = composed("data=hqseg_44k").data
    tested = data.test["HQSeg-44K"].folder.values()
    assert sum(folder.count for folder in tested) == HQSEG_TESTED
    assert sum(folder.count for folder in data.train.folder.values()) == HQSEG_TRAINED


def test_gray_128_of_grabcut_and_berkeley_does_not_count(source) -> None:  # type: ignore[no-untyped-def]
    grabcut = source("grabcut")
    assert areas(grabcut) == {"photo0": 16 * 18, "photo1": 16 * 18}
    assert (grabcut.sample(1).void > 0).sum() == 20 * 22 - 16 * 18
    berkeley = source("berkeley")
    assert areas(berkeley) == {"3096-0": 20 * 12, "3096-1": 20 * 12}
    assert np.array_equal(berkeley.sample(0).image, berkeley.sample(1).image)


@pytest.mark.parametrize("name", ["davis_interactive", "coco_mval"])
def test_objects_of_a_frame_are_one_whatever_their_colors(source, name: str) -> None:  # type: ignore[no-untyped-def]
    both = 16 * 16 + 10 * 15
    assert areas(source(name)) == {"00000": both, "00001": both}


def test_hqseg_is_one_set_of_four_folders(source) -> None:  # type: ignore[no-untyped-def]
    hqseg = source("hqseg_44k")
    folders = ("DIS-VD", "ThinObject5K-TE", "COIFT", "HRSOD-287")
    assert hqseg.names == [f"{folder}/thin{i}" for folder in folders for i in range(2)]
    assert hqseg.sets == folders


def test_objects_of_cityscapes_have_their_class(source) -> None:  # type: ignore[no-untyped-def]
    cityscapes = source("cityscapes")
    stem = "frankfurt/frankfurt_000000_000290"
    assert cityscapes.names[:3] == [f"{stem}_25000", f"{stem}_26000", f"{stem}_26001"]
    assert len(cityscapes) == 6  # neither the road, nor the group of cars, nor the trailer
    found: list[Instance] = [cityscapes.sample(item) for item in range(3)]
    assert [instance.category for instance in found] == [25, 26, 26]
    assert [(instance.mask > 0).sum() for instance in found] == [16 * 6, 8 * 12, 8 * 12]
    assert not found[0].void.any()


def test_mitochondria_that_meet_at_a_corner_are_two(source) -> None:  # type: ignore[no-untyped-def]
    assert areas(source("sstem")) == {
        f"{i:02d}_{number}": area
        for i in range(2)
        for number, area in ((1, 49), (2, 64), (3, 10 * 15))
    }


def test_buildings_are_numbered_or_parts_of_a_mask(source) -> None:  # type: ignore[no-untyped-def]
    assert [name for name in source("rooftop").names if "0" in name] == ["tile0_1", "tile0_2"]


def test_an_incomplete_copy_is_said(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    node = composed("data=cityscapes").data.test.Cityscapes
    with pytest.raises(DataError, match="2 pairs found, 500 expected"):
        build(node)(str(tmp_path))


def test_missing_sets_are_named_together_with_where_to_get_them(tmp_path: Path) -> None:
    cfg = composed("model=iog", "data=interactive", f"data.root={tmp_path}")
    data = instantiate(cfg.data, _convert_="all")
    assert isinstance(data, InstanceDataModule)
    with pytest.raises(DataError) as caught:
        data.setup("test")
    sets = [problem.partition(":")[0] for problem in caught.value.problems]
    assert list(dict.fromkeys(sets)) == [f"test/{name}" for name in DATA["interactive"]]
    assert all("Get " in problem for problem in caught.value.problems)
    assert str(caught.value).endswith("A test set can be left out: '~data.test.GrabCut'")


def test_what_is_there_is_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = instantiate(config("sbd", tmp_path).data, _convert_="all")
    data.setup("fit")
    kept = data.train_set, data.test_sets["SBD"]
    data.setup("test")
    assert (data.train_set, data.test_sets["SBD"]) == kept
    assert data.fingerprint()["train"]["sets"] == ["SBD-train"]
    assert data.test_names == ["SBD"]
