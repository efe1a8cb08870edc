"""A folder with results says the same when it is read, and refuses what it was not written with."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.errors import UserError
from src.metrics import ImageResult, describe, score_pair, summarize
from src.results import provenance
from src.results.folder import ResultsFolder, has_results, read_if_sound, read_results_folder
from src.results.schema import SCHEMA, Kind
from src.results.write import SetResults, write_results_folder

METRICS = ("mae", "max_f", "mba")
PROTOCOL = {name: describe(name) for name in METRICS}
NAMES = ["a, b", 'c "d"', "e\nf", "über", "caf\udce9", "deep/er"]


def scored(seed: int) -> ImageResult:
    rng = np.random.default_rng(seed)
    target = np.zeros((20, 30), np.uint8)
    target[5:15, 5 : 6 + seed % 20] = 255
    return score_pair(rng.integers(0, 256, (20, 30), np.uint8), target, METRICS, category=seed % 3)


def results(*names: str, seed: int = 0) -> SetResults:
    images = [scored(seed + i) for i in range(len(names))]
    return SetResults(summarize(images, METRICS), list(names), images)


SETS = {"SOD": results(*NAMES), "a/b": results("a, b", seed=50)}


def write(folder: Path, kind: Kind = "maps", sets: Any = SETS, **entries: Any) -> Path:
    folder.mkdir(exist_ok=True)
    write_results_folder(folder, sets, kind=kind, method="mine", protocol=PROTOCOL, **entries)
    return folder


@pytest.mark.parametrize("kind", ["run", "checkpoint", "maps"])
def test_all_kinds_hold_the_same_files_and_read_as_they_were_written(
    tmp_path: Path, kind: Kind
) -> None:
    folder = write(tmp_path / "f", kind, partial={"SOD": "6 of 9"})
    assert {path.name for path in folder.iterdir()} == {
        *("results.json", "per_image.csv", "histograms.npz", "curves.json", "provenance.json"),
    }
    found = read_results_folder(folder)
    assert (found.kind, found.method, found.protocol) == (kind, "mine", PROTOCOL)
    assert found.values == {name: one.values for name, one in SETS.items()}
    assert found.provenance.schema == SCHEMA
    assert found.provenance.images == {"SOD": 6, "a/b": 1}
    assert (found.expected_images("SOD"), found.expected_images("a/b")) == (9, None)
    for name, one in SETS.items():
        images = found.image_results(name)
        assert [image.values for image in images] == [image.values for image in one.images]
        assert [image.category for image in images] == [image.category for image in one.images]
        assert np.array_equal(found.histograms[name], [image.histogram for image in one.images])
        assert summarize(images, METRICS) == one.values
        assert found.curves[name]["f"].max() == pytest.approx(one.values["max_f"])
    shown = [name.replace("\udce9", r"\udce9") for name in NAMES]
    assert list(found.per_image["SOD"].names) == shown


def test_every_digit_is_kept_and_undefined_is_null(tmp_path: Path) -> None:
    images = [ImageResult({"mae": 1 / 3, "mba": math.nan}, np.ones((2, 256), np.int64))]
    write(tmp_path / "f", sets={"SOD": SetResults({"mae": 1 / 3, "mba": math.nan}, ["a"], images)})
    text = (tmp_path / "f" / "results.json").read_text()
    assert json.loads(text) == {"SOD": {"mae": 1 / 3, "mba": None}}
    assert text.endswith("}\n")
    with (tmp_path / "f" / "per_image.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"set": "SOD", "name": "a", "mae": repr(1 / 3), "mba": "nan"}
    found = read_results_folder(tmp_path / "f")
    assert math.isnan(found.values["SOD"]["mba"])
    assert math.isnan(found.per_image["SOD"].values["mba"][0])
    assert found.provenance.undefined == {"SOD": {"mba": 1}}


def test_no_image_leaves_empty_files(tmp_path: Path) -> None:
    found = read_results_folder(write(tmp_path / "f", sets={}))
    assert (found.values, found.per_image, found.histograms, found.curves) == ({}, {}, {}, {})
    assert (tmp_path / "f" / "per_image.csv").read_text().strip() == "set,name"


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name) for name in ("one", "two"))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_histograms_take_little_room(tmp_path: Path) -> None:
    """Of maps as networks predict them: most pixels are black or white."""
    histogram = np.zeros((2, 256), np.int64)
    histogram[0, :20], histogram[1, 240:] = range(20), range(16)
    images = [ImageResult({"mae": 0.0}, histogram + i % 7) for i in range(100)]
    names = [f"image_{i}" for i in range(100)]
    write(tmp_path / "f", sets={"SOD": SetResults({"mae": 0.0}, names, images)})
    assert (tmp_path / "f" / "histograms.npz").stat().st_size < 100 * 300


def test_names_and_images_have_to_be_as_many() -> None:
    with pytest.raises(ValueError, match="1 names for 2 images"):
        SetResults({}, ["a"], [scored(0), scored(1)])


def test_a_run_keeps_what_it_noted_and_maps_start_anew(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    provenance.write(tmp_path / "f", seed=3, git={"commit": "abc", "dirty": False})
    write(tmp_path / "f", "run")
    assert provenance.read(tmp_path / "f")["seed"] == 3
    assert read_results_folder(tmp_path / "f").provenance.git.commit == "abc"
    write(tmp_path / "f", "maps")
    assert "seed" not in provenance.read(tmp_path / "f")


# Older versions: no schema, no histograms, and protocol.json beside the numbers of maps.


def older(folder: Path, **entries: Any) -> Path:
    write(folder)
    for name in ("histograms.npz", "curves.json"):
        (folder / name).unlink()
    said = provenance.read(folder)
    kept = ("protocol", "images", "partial")
    stored = {**{key: said[key] for key in kept if key in said}, **entries}
    stored["files"] = {"per_image.csv": said["files"]["per_image.csv"]}
    (folder / "provenance.json").write_text(json.dumps(stored))
    return folder


def test_maps_of_an_older_version_are_read_but_for_their_histograms(tmp_path: Path) -> None:
    folder = older(tmp_path / "amulet_scores", **{"left out": ["missing: x"], "finecut": "0.1"})
    (folder / "provenance.json").rename(folder / "protocol.json")
    found = read_results_folder(folder)
    assert (found.kind, found.method, found.provenance.schema) == ("maps", "amulet", 1)
    assert found.provenance.left_out == ["missing: x"]
    assert found.values == {name: one.values for name, one in SETS.items()}
    assert len(found.per_image["SOD"].names) == 6
    assert found.curves == {}
    with pytest.raises(UserError, match=r"histograms\.npz: an older version .* score the maps"):
        _ = found.histograms
    write(folder)
    assert not (folder / "protocol.json").exists()
    assert read_results_folder(folder).provenance.schema == SCHEMA


@pytest.mark.parametrize(("fit", "kind"), [(True, "run"), (False, "checkpoint")])
def test_runs_of_an_older_version_are_read(tmp_path: Path, fit: bool, kind: str) -> None:
    folder = older(tmp_path / "f", config={"fit": fit, "model": {"name": "isnet"}}, git=None)
    found = read_results_folder(folder)
    assert (found.kind, found.method) == (kind, "isnet")
    assert found.provenance.git.dirty is None


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    provenance.write(write(tmp_path / "f"), schema=SCHEMA + 1)
    with pytest.raises(UserError, match=r"provenance\.json: a newer version of finecut wrote it"):
        read_results_folder(tmp_path / "f")


# Damage: each file is named, with its key.


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "f")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled, whose checksums say nothing."""
    copy = shutil.copytree(sound, tmp_path / "f")
    provenance.write(copy, files={})
    return copy


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("schema", "2", "schema is '2'"),
        ("schema", True, "schema is True"),
        ("kind", "video", "kind is 'video'"),
        ("method", 7, "method is 7"),
        ("protocol", {"mae": 7}, "protocol.mae is 7"),
        ("images", {"SOD": -1}, "images.SOD is -1"),
        ("images", {"SOD": 1.5}, "images.SOD is 1.5"),
        ("partial", {"SOD": 3}, "partial.SOD is 3"),
        ("notices", [], "notices is []"),
        ("git", {"dirty": "no"}, "git.dirty is 'no'"),
        ("data", {"train": {"sets": "SOD"}}, "data.train.sets is 'SOD'"),
        ("checkpoint", {"sha256": 7}, "checkpoint.sha256 is 7"),
        ("files", 7, "files is 7"),
    ],
)
def test_provenance_of_another_shape_is_named_by_its_key(
    folder: Path, key: str, value: Any, said: str
) -> None:
    provenance.write(folder, **{key: value})
    with pytest.raises(UserError) as error:
        read_results_folder(folder)
    text = str(error.value)
    assert text.startswith(f"{folder / 'provenance.json'}: {said}, but ")
    assert text.endswith("; score the maps again")
    assert "\n" not in text


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"0.1"', "true", "[]", "1e999", str(10**400)])
def test_a_result_is_a_finite_number(folder: Path, value: str) -> None:
    (folder / "results.json").write_text(f'{{"SOD": {{"mae": {value}}}}}')
    with pytest.raises(UserError, match=r"results\.json.*score the maps again"):
        read_results_folder(folder)


@pytest.mark.parametrize("name", ["results.json", "per_image.csv", "histograms.npz", "curves.json"])
def test_what_was_changed_since_is_refused(sound: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(sound, tmp_path / "f")
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    with pytest.raises(UserError, match=f"{name} was changed since it was written, by its check"):
        read_results_folder(copy)
    (copy / name).unlink()
    with pytest.raises(UserError, match=name):
        read_results_folder(copy)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("set,name,mae\nSOD,a,x\n", ":2: mae is 'x', no number"),
        ("set,name,mae\nSOD,a,nan\n", ":2: mae is nan, no finite number"),
        ("set,name,mae\nSOD,a,0\nSOD,a,0\n", ":3: SOD/a is there twice"),
        ("set,name,mae\nSOD,a,0\n", " holds 1 images of SOD, and was written with 6"),
        ("image,mae\na,0\n", ": no columns 'set' and 'name'"),
    ],
)
def test_a_damaged_table_of_images_is_named_by_its_line(folder: Path, text: str, said: str) -> None:
    (folder / "per_image.csv").write_text(text)
    found = read_results_folder(folder)
    with pytest.raises(UserError) as error:
        _ = found.per_image
    assert str(error.value).startswith(f"{folder / 'per_image.csv'}{said}")


def arrays(folder: Path) -> dict[str, Any]:
    with np.load(folder / "histograms.npz") as stored:
        return {name: stored[name] for name in stored.files}


def replaced(name: str, change: Any) -> Any:
    def apply(folder: Path) -> None:
        content = arrays(folder)
        content[name] = change(content[name])
        np.savez_compressed(folder / "histograms.npz", **content)

    return apply


def cut(folder: Path) -> None:
    path = folder / "histograms.npz"
    path.write_bytes(path.read_bytes()[:-200])


def flipped(folder: Path) -> None:
    path = folder / "histograms.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "is damaged"),
        (flipped, "is damaged"),
        (replaced("histogram", lambda found: found[:-1]), "is damaged"),
        (replaced("histogram", lambda found: found.astype(float)), "is damaged"),
        (replaced("histogram", lambda found: found.astype(object)), "is damaged"),
        (replaced("histogram", lambda found: np.zeros((7, 2, 256_000), "u4")), "is damaged"),
        (replaced("category", lambda found: found[:, None]), "is damaged"),
        (replaced("name", lambda found: found[::-1]), "is of other images than per_image.csv"),
    ],
)
def test_a_damaged_file_of_histograms_is_named(folder: Path, damage: Any, said: str) -> None:
    damage(folder)
    found = read_results_folder(folder)
    with pytest.raises(UserError) as error:
        _ = found.histograms
    assert str(error.value).startswith(f"{folder / 'histograms.npz'} {said}")
    assert "\n" not in str(error.value)


def test_folders_without_results_are_told_from_damaged_ones(
    sound: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert has_results(sound)
    assert not has_results(tmp_path)
    assert read_if_sound(tmp_path) is None
    assert caplog.text == ""
    (tmp_path / "results.json").write_text("{}")
    assert not has_results(tmp_path)
    assert read_if_sound(tmp_path, "remove it") is None
    assert "no provenance.json, so nothing says how its numbers were made" in caplog.text
    assert "remove it" in caplog.text
    assert isinstance(read_if_sound(sound), ResultsFolder)
    with pytest.raises(UserError, match=r"no .*nowhere/results\.json: give a folder that finecut"):
        read_results_folder(tmp_path / "nowhere")


# What metrics over a set need of each image beside its histogram.


def scored_by(seed: int, *metrics: str) -> ImageResult:
    rng = np.random.default_rng(seed)
    target = np.zeros((20, 30), np.uint8)
    target[5:15, 5 : 12 + seed] = 255
    return score_pair(rng.integers(0, 256, (20, 30), np.uint8), target, metrics)


def set_of(*metrics: str, count: int = 3, seed: int = 0) -> SetResults:
    images = [scored_by(seed + i, *metrics) for i in range(count)]
    return SetResults(summarize(images, metrics), [f"i{i}" for i in range(count)], images)


def write_by(folder: Path, **sets: SetResults) -> Path:
    folder.mkdir(exist_ok=True)
    names = {name for one in sets.values() for name in one.values}
    protocol = {name: describe(name) for name in names}
    write_results_folder(folder, sets, kind="maps", method="mine", protocol=protocol)
    return folder


def test_metrics_over_a_set_follow_from_the_folder_alone(tmp_path: Path) -> None:
    sets = {"A": set_of("max_msiou", "max_si_f_targets"), "B": set_of("max_msiou", seed=7)}
    found = read_results_folder(write_by(tmp_path / "f", **sets))
    for name, metrics in (("A", ["max_msiou", "max_si_f_targets"]), ("B", ["max_msiou"])):
        assert summarize(found.image_results(name), metrics) == sets[name].values
    assert "si_f" not in found.kept["B"]
    assert summarize(found.image_results("B"), ["mean_msiou"]) == summarize(
        [scored_by(7 + i, "mean_msiou") for i in range(3)], ["mean_msiou"]
    )


def test_sets_of_one_folder_may_have_other_metrics(tmp_path: Path) -> None:
    sets = {"A": set_of("mae", "mba"), "B": set_of("mae", "s_measure", seed=7)}
    found = read_results_folder(write_by(tmp_path / "f", **sets))
    assert list(found.per_image["A"].values) == ["mae", "mba"]
    assert list(found.per_image["B"].values) == ["mae", "s_measure"]
    assert found.values == {name: one.values for name, one in sets.items()}


def test_folders_without_kept_numbers_are_read_and_say_what_they_lack(tmp_path: Path) -> None:
    folder = write_by(tmp_path / "f", A=set_of("max_msiou"))
    (folder / "kept.npz").unlink()
    with pytest.raises(UserError, match=r"kept\.npz was changed"):
        read_results_folder(folder)
    said = provenance.read(folder)
    del said["files"]["kept.npz"]  # as versions wrote that stored none
    provenance.replace(folder, said)
    images = read_results_folder(folder).image_results("A")
    with pytest.raises(UserError, match=r"msiou of each image.*score the maps again"):
        summarize(images, ["max_msiou"])
    write_by(folder, A=set_of("mae"))
    assert not (folder / "kept.npz").exists()


def test_kept_numbers_of_other_images_are_refused(tmp_path: Path) -> None:
    folder = write_by(tmp_path / "f", A=set_of("max_msiou"))
    other = write_by(tmp_path / "g", A=set_of("max_msiou", count=4))
    shutil.copy(other / "kept.npz", folder)
    said = provenance.read(folder)
    said["files"]["kept.npz"] = provenance.read(other)["files"]["kept.npz"]
    provenance.replace(folder, said)
    with pytest.raises(UserError, match=r"kept\.npz is damaged \(msiou is float64 \(4, 257\)"):
        _ = read_results_folder(folder).kept
