"""Mattes are scored with trimaps that lie in a folder: checked before, part of what a number is."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import CommandError, UserError
from src.evaluation.compare import compare_results
from src.evaluation.maps import evaluate_maps, score_folder
from src.evaluation.matching import Naming, find_pairs
from src.evaluation.request import FAULTY_FILES, OK
from src.metrics import score_image
from src.reporting.groups import refuse_mixed_protocols
from src.reporting.runs import collect
from src.results.folder import read_results_folder

METRICS = ["sad", "sad_trimap", "mad_trimap", "sad_fg", "grad_unknown"]
NAMES = ("a", "b", "c")


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def matte(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = np.zeros((40, 50), np.uint8)
    cv2.circle(shape, (int(rng.integers(15, 30)), 20), 11, 255, -1)
    return np.asarray(cv2.GaussianBlur(shape, (9, 9), 0), np.uint8)


def trimap_of(alpha: np.ndarray, width: int = 9) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    trimap = np.zeros_like(alpha)
    trimap[cv2.dilate((alpha > 0).astype(np.uint8), kernel) > 0] = 128
    trimap[cv2.erode((alpha == 255).astype(np.uint8), kernel) > 0] = 255
    return trimap


@pytest.fixture
def mattes(tmp_path: Path) -> Path:
    """`SET`, `trimaps` and `maps/{near,far}`, and with wider unknown regions `wide`."""
    for seed, name in enumerate(NAMES):
        alpha = matte(seed)
        write_image(tmp_path / f"SET/{name}.png", alpha)
        write_image(tmp_path / f"trimaps/{name}.png", trimap_of(alpha))
        write_image(tmp_path / f"wide/{name}.png", trimap_of(alpha, 13))
        for method, shift in (("near", 1), ("far", 4)):
            write_image(tmp_path / f"maps/{method}/{name}.png", np.roll(alpha, shift, axis=1))
    return tmp_path


def evaluate(
    root: Path, maps: str = "maps/near", trimaps: str = "trimaps", **options: object
) -> int:
    given = {"output": root / "out", "metrics": METRICS, "workers": 1, "worst": 0} | options
    folders = {"maps": root / maps, "target": root / "SET", "trimaps": root / trimaps}
    return evaluate_maps(**folders, **given)  # type: ignore[arg-type]


def image(path: Path) -> np.ndarray:
    found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    return np.asarray(found, np.uint8)


def test_numbers_are_those_of_python_and_say_with_which_trimaps(mattes: Path) -> None:
    assert evaluate(mattes) == OK
    found = read_results_folder(mattes / "out")
    alone = [
        score_image(
            image(mattes / f"maps/near/{name}.png"),
            image(mattes / f"SET/{name}.png"),
            METRICS,
            trimap=image(mattes / f"trimaps/{name}.png"),
        )
        for name in NAMES
    ]
    for metric in METRICS:
        assert found.per_image["SET"].values[metric].tolist() == [one[metric] for one in alone]
    assert found.protocol["sad_trimap"].startswith("sad_trimap/1: ")
    told = found.trimaps("SET")
    assert told is not None
    assert f"SET: trimaps {told[:12]}" in (mattes / "out/results.md").read_text()
    near = mattes / "maps/near"
    scored = score_folder(near, mattes / "SET", None, METRICS, trimaps=mattes / "trimaps")
    assert scored == found.values


def test_other_trimaps_are_scored_anew_and_refuse_to_share_a_table(mattes: Path) -> None:
    assert evaluate(mattes) == OK
    assert evaluate(mattes, trimaps="wide", output=mattes / "wider") == OK
    first, second = (read_results_folder(mattes / name) for name in ("out", "wider"))
    assert first.values["SET"]["sad"] == second.values["SET"]["sad"]
    assert first.values["SET"]["mad_trimap"] != second.values["SET"]["mad_trimap"]
    with pytest.raises(UserError, match="SET was scored with different trimaps"):
        refuse_mixed_protocols(collect([mattes]))
    with pytest.raises(UserError, match="SET was scored with different trimaps"):
        compare_results(first, second)
    # The log is keyed by the trimap too: what the first left is not taken for the second.
    assert evaluate(mattes, trimaps="wide") == OK
    assert read_results_folder(mattes / "out").values == second.values


def test_every_fault_of_trimaps_is_listed_by_name_before_scoring(
    mattes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mattes / "trimaps/a.png").unlink()
    write_image(mattes / "trimaps/b.png", np.full((40, 50), 127, np.uint8))
    write_image(mattes / "trimaps/c.png", np.zeros((20, 50), np.uint8))
    write_image(mattes / "trimaps/d.png", np.zeros((20, 50), np.uint8))
    assert evaluate(mattes) == FAULTY_FILES
    said = capsys.readouterr().err
    for words in (
        f"missing: no trimap of {mattes / 'SET/a.png'}",
        f"unreadable: {mattes / 'trimaps/b.png'}: level 127; a trimap has 0",
        f"size: trimap {mattes / 'trimaps/c.png'} is 50x20, its target 50x40",
        f"extra: no target of trimap {mattes / 'trimaps/d.png'}",
        "4 faults, nothing was written",
    ):
        assert words in said, words
    assert not (mattes / "out").exists()


def test_what_lacks_a_trimap_is_left_out_if_asked(mattes: Path) -> None:
    (mattes / "trimaps/a.png").unlink()
    write_image(mattes / "trimaps/b.png", np.full((40, 50), 127, np.uint8))
    assert evaluate(mattes, allow_missing=True) == OK
    found = read_results_folder(mattes / "out").provenance
    assert found.partial == {"SET": "1 of 3"}
    assert [line.partition(":")[0] for line in found.left_out] == ["missing", "unreadable"]


def test_methods_share_the_trimaps_of_a_set_and_their_faults(
    mattes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(mattes, "maps") == OK
    table = (mattes / "out/table.md").read_text()
    assert "| method | SET sad ↓ | SET sad_trimap ↓ |" in table
    assert "SET: trimaps " in table
    (mattes / "trimaps/a.png").unlink()
    capsys.readouterr()
    assert evaluate(mattes, "maps") == FAULTY_FILES
    assert capsys.readouterr().err.count("SET: no trimap of") == 1


def test_a_file_names_the_trimaps_of_each_set(
    mattes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = mattes / "methods.yaml"
    file.write_text(
        "{sets: {P3M: {ground_truth: SET, trimaps: trimaps}, Other: SET},"
        " methods: {Near: {maps: {P3M: maps/near, Other: maps/near}}}}"
    )
    assert evaluate_maps(file, None, None, METRICS, workers=1) == FAULTY_FILES
    said = capsys.readouterr().err
    assert "missing: Other has no folder of trimaps, which sad_trimap needs" in said
    file.write_text(
        "{sets: {P3M: {ground_truth: SET, trimaps: trimaps}}, methods: {Near: maps/near}}"
    )
    assert evaluate_maps(file, None, None, METRICS, workers=1) == OK
    assert read_results_folder(mattes / "methods_scores/Near").trimaps("P3M") is not None


def test_trimaps_beside_mattes_and_with_a_suffix_are_found(mattes: Path) -> None:
    for name in NAMES:
        for kind, folder in (("mask", "SET"), ("trimap", "trimaps")):
            write_image(mattes / f"P3M/{kind}/{name}.png", image(mattes / folder / f"{name}.png"))
    scored = score_folder(
        mattes / "maps/near", mattes / "P3M", trimaps=mattes / "P3M", metrics=METRICS
    )
    assert list(scored) == ["P3M"]


def test_metrics_and_trimaps_come_together(mattes: Path) -> None:
    with pytest.raises(CommandError, match="sad_trimap needs a trimap for each image: give"):
        evaluate_maps(mattes / "maps/near", mattes / "SET", None, METRICS)
    with pytest.raises(CommandError, match="no metric asked for needs trimaps"):
        evaluate(mattes, metrics=["sad"])
    with pytest.raises(UserError, match="trimaps: no folder"):
        evaluate(mattes, trimaps="nowhere")


def test_a_suffix_that_all_trimaps_have_is_suggested(
    mattes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((mattes / "trimaps").iterdir()):
        path.rename(path.with_name(f"{path.stem}_trimap.png"))
    assert evaluate(mattes) == FAULTY_FILES
    assert "end with it: trimap_suffix=_trimap" in capsys.readouterr().err
    naming = Naming(trimap_suffix="_trimap")
    assert find_pairs(mattes / "maps/near", mattes / "SET", naming, None, mattes / "trimaps").pairs
