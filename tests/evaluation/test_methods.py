"""Methods and data sets are found in folders, or named in a file; what does not fit is listed."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.evaluation.matching import Naming
from src.evaluation.methods import MethodPlan, find_plan, read_plan
from tests.evaluation.test_matching import touch


def found(plan: MethodPlan | None, root: Path) -> list[tuple[str, str, str, str]]:
    assert plan is not None
    return [
        (e.method, e.set, str(e.maps.relative_to(root)), str(e.ground_truth.relative_to(root)))
        for e in plan.entries
    ]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Two sets, one with its masks in a folder of their own."""
    return touch(tmp_path / "gt", "SOD/a.png", "ECSSD/masks/b.png", "ECSSD/images/b.jpg")


def test_methods_hold_sets(tmp_path: Path, truth: Path) -> None:
    maps = touch(tmp_path / "m", "DSS/SOD/a.png", "DSS/ecssd/b.png", "PiCA/SOD/a.png")
    touch(maps, "PiCA/ECSSD/b.png", "PiCA/DUTS/c.png", "notes/readme.txt", ".cache/x.png")
    plan = find_plan(maps, truth)
    assert found(plan, tmp_path) == [
        ("DSS", "ECSSD", "m/DSS/ecssd", "gt/ECSSD"),
        ("DSS", "SOD", "m/DSS/SOD", "gt/SOD"),
        ("PiCA", "ECSSD", "m/PiCA/ECSSD", "gt/ECSSD"),
        ("PiCA", "SOD", "m/PiCA/SOD", "gt/SOD"),
    ]
    assert plan is not None
    (problem,) = plan.problems
    assert (problem.kind, "DUTS" in problem.text) == ("extra", True)
    assert plan.remarks == [f"maps: {maps} holds <method>/<set>"]


def test_sets_hold_methods(tmp_path: Path, truth: Path) -> None:
    maps = touch(tmp_path / "m", "SOD/DSS/a.png", "ECSSD/DSS/b.png", "SOD/PiCA/a.png")
    plan = find_plan(maps, truth)
    assert [entry[:3] for entry in found(plan, tmp_path)] == [
        ("DSS", "ECSSD", "m/ECSSD/DSS"),
        ("DSS", "SOD", "m/SOD/DSS"),
        ("PiCA", "SOD", "m/SOD/PiCA"),
    ]
    assert plan is not None
    assert [str(problem) for problem in plan.problems] == ["missing: PiCA has no maps of ECSSD"]
    assert plan.remarks == [f"maps: {maps} holds <set>/<method>"]


def test_methods_of_one_set_lie_side_by_side(tmp_path: Path) -> None:
    masks = touch(tmp_path / "SOD", "masks/a.png") / "masks"
    maps = touch(tmp_path / "m", "DSS/a.png", "PiCA/SOD/a.png", "Amulet/deep/a.png")
    assert found(find_plan(maps, masks), tmp_path) == [
        ("Amulet", "SOD", "m/Amulet", "SOD/masks"),
        ("DSS", "SOD", "m/DSS", "SOD/masks"),
        ("PiCA", "SOD", "m/PiCA/SOD", "SOD/masks"),
    ]


@pytest.mark.parametrize(
    "maps",
    [
        ["a.png"],  # one set, no folders
        ["SOD/a.png", "ECSSD/b.png"],  # sets of one method
        ["SOD/deep/a.png", "SOD/a.png"],
        ["masks/a.png"],
        ["SOD/masks/a.png"],
        ["TE1/a.png"],  # names without a partner, as of one method
    ],
)
def test_maps_of_one_method_are_no_plan(tmp_path: Path, truth: Path, maps: list[str]) -> None:
    assert find_plan(touch(tmp_path / "m", *maps), truth) is None


def test_a_file_names_methods_sets_and_what_names_carry(tmp_path: Path) -> None:
    file = tmp_path / "methods.yaml"
    file.write_text(
        """
        sets:
          SOD: data/SOD
          ECSSD: {ground_truth: data/ECSSD, mask_suffix: _mask}
        methods:
          DSS: "maps/dss/{set}"
          PiCA: {maps: {SOD: p/sod, ECSSD: p/ecssd}, map_prefix: sal_}
        """
    )
    touch(tmp_path, "data/SOD/a.png", "data/ECSSD/a_mask.png", "maps/dss/SOD/a.png", "p/sod/a.png")
    plan = read_plan(file)
    assert found(plan, tmp_path) == [
        ("DSS", "SOD", "maps/dss/SOD", "data/SOD"),
        ("DSS", "ECSSD", "maps/dss/ECSSD", "data/ECSSD"),
        ("PiCA", "SOD", "p/sod", "data/SOD"),
        ("PiCA", "ECSSD", "p/ecssd", "data/ECSSD"),
    ]
    assert plan.entries[3].naming == Naming(map_prefix="sal_", mask_suffix="_mask")
    assert (plan.methods, plan.sets) == (["DSS", "PiCA"], ["SOD", "ECSSD"])
    assert [problem.text.partition(": no folder")[0] for problem in plan.problems] == [
        "DSS on ECSSD",
        "PiCA on ECSSD",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sets: {SOD: gt}", "methods= is missing"),
        ("{sets: {SOD: gt}, methods: {}}", "methods"),
        ("{sets: {SOD: gt}, methods: {DSS: {folder: m}}}", "maps"),
        ("{sets: {SOD: gt}, methods: {DSS: {maps: m, map_sufix: _p}}}", "map_sufix"),
        ("{sets: {A: gt, B: gt2}, methods: {DSS: m}}", r"put \{set\} in it"),
        ("{sets: {SOD: 3.5}, methods: {DSS: m}}", "ground_truth=3.5"),
        ("sets: [", "damaged"),
    ],
)
def test_a_faulty_file_is_refused_by_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "methods.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_plan(file)
    assert str(file) in str(caught.value)


def test_a_set_that_only_some_methods_have_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "methods.yaml"
    file.write_text("{sets: {A: gt, B: gt}, methods: {DSS: {maps: {A: m, C: m}}}}")
    touch(tmp_path, "gt/a.png", "m/a.png")
    assert [problem.kind for problem in read_plan(file).problems] == ["extra", "missing"]


def test_a_set_with_images_beside_its_masks_is_one_set(tmp_path: Path) -> None:
    truth = touch(tmp_path / "SOD", "masks/a.png", "images/a.jpg")
    maps = touch(tmp_path / "m", "DSS/a.png", "PiCA/a.png")
    assert found(find_plan(maps, truth), tmp_path) == [
        ("DSS", "SOD", "m/DSS", "SOD"),
        ("PiCA", "SOD", "m/PiCA", "SOD"),
    ]


def test_empty_folders_are_methods_and_sets_whose_files_are_missing(
    tmp_path: Path, truth: Path
) -> None:
    maps = touch(tmp_path / "m", "DSS/SOD/a.png", "DSS/ECSSD/b.png")
    (maps / "PiCA/SOD").mkdir(parents=True)
    (truth / "HKU/masks").mkdir(parents=True)
    plan = find_plan(maps, truth)
    assert plan is not None
    assert [str(problem) for problem in plan.problems] == [
        f"missing: {maps / 'PiCA'}: an empty folder",
        f"missing: {truth / 'HKU'}: an empty folder",
    ]


def test_what_an_evaluation_wrote_is_no_method(tmp_path: Path, truth: Path) -> None:
    maps = touch(tmp_path / "m", "DSS/SOD/a.png", "DSS/ECSSD/b.png", "scores/curves_SOD.png")
    touch(maps, "scores/journal.jsonl", "scores/DSS/worst.png", "scores/DSS/provenance.json")
    plan = find_plan(maps, truth)
    assert plan is not None
    assert (plan.methods, plan.problems) == (["DSS"], [])
