"""Files are paired by stem; whatever is wrong with them is said at once, with a count."""

import logging
from pathlib import Path

import cv2
import pytest
from PIL import Image

from src.datamodules.pairs import (
    DataError,
    fingerprint,
    index_pairs,
    join_sets,
    scan_pairs,
    split_by_hash,
)
from src.datamodules.sources import CsvTable, FolderPair, Source
from tests.datamodules.miniatures import disc, image_file, write_pair, write_set

OWN = FolderPair("images", "masks")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_set(tmp_path / "images", tmp_path / "masks", 5)
    return tmp_path


def problems(root: Path, source: Source = OWN) -> list[str]:
    with pytest.raises(DataError) as error:
        index_pairs(root, source, "mine")
    assert f"mine: {len(error.value.problems)} problem" in str(error.value)
    return [problem.replace(f"{root}/", "") for problem in error.value.problems]


def test_pairs_by_stem_over_extensions_and_subfolders(root: Path) -> None:
    write_pair(root / "images" / "cats", root / "masks" / "cats", "img_000", 9, ".PNG")
    (root / "images" / ".hidden.png").touch()
    (root / "images" / "Thumbs.db").touch()
    pairs = index_pairs(root, OWN, "mine")
    assert [pair.name for pair in pairs] == ["cats/img_000", *(f"img_{i:03d}" for i in range(5))]
    assert pairs[0].image == root / "images" / "cats" / "img_000.PNG"
    assert pairs[0].mask == root / "masks" / "cats" / "img_000.png"
    assert {pair.set for pair in pairs} == {"mine"}


def test_dots_in_names(root: Path) -> None:
    write_pair(root / "images", root / "masks", "v1.2_img", 3)
    assert index_pairs(root, OWN, "mine")[-1].name == "v1.2_img"


def test_images_may_have_a_suffix_of_their_own(tmp_path: Path) -> None:
    write_set(tmp_path / "left/ulm", tmp_path / "fine/ulm", 2, extension=".png")
    for i in range(2):
        image, mask = (tmp_path / kind / f"ulm/img_{i:03d}.png" for kind in ("left", "fine"))
        image.rename(image.with_stem(f"{image.stem}_left"))
        mask.rename(mask.with_stem(f"{mask.stem}_ids"))
    (tmp_path / "left/ulm/img_000_right.png").touch()
    (tmp_path / "fine/ulm/img_000_color.png").touch()
    source = FolderPair("left", "fine", image_suffix="_left", mask_suffix="_ids")
    pairs = index_pairs(tmp_path, source, "streets")
    assert [pair.name for pair in pairs] == ["ulm/img_000", "ulm/img_001"]
    assert pairs[0].image == tmp_path / "left/ulm/img_000_left.png"
    pairs[1].image.unlink()
    assert problems(tmp_path, source) == [
        "fine/ulm/img_001_ids.png: no image left/ulm/img_001_left.*"
    ]


def test_an_extension_may_tell_masks_from_images(tmp_path: Path) -> None:
    write_set(tmp_path / "all", tmp_path / "all", 3)
    source = FolderPair("all", "all", mask_extension=".png")
    pairs = index_pairs(tmp_path, source, "mine")
    assert [(pair.image.name, pair.mask.name) for pair in pairs] == [
        (f"img_{i:03d}.jpg", f"img_{i:03d}.png") for i in range(3)
    ]
    pairs[0].mask.unlink()
    pairs[1].image.unlink()
    assert problems(tmp_path, source) == [
        "all/img_000.jpg: no mask all/img_000.png",
        "all/img_001.png: no image all/img_001.*",
    ]


def test_a_pattern_says_which_names_are_of_the_set(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    write_set(images, masks, 2, prefix="COD10K-CAM-")
    write_set(images, masks, 3, prefix="camourflage_")
    (images / "COD10K-NonCAM-1.jpg").touch()  # neither read nor missed

    def names(pattern: str, count: int) -> list[str]:
        source = FolderPair("images", "masks", names=pattern, count=count)
        return [pair.name for pair in index_pairs(tmp_path, source, "mine")]

    assert names("COD10K-CAM-*", 2) == ["COD10K-CAM-000", "COD10K-CAM-001"]
    assert names("[!C]*", 3) == [f"camourflage_{i:03d}" for i in range(3)]


def test_every_fault_is_in_one_list(root: Path) -> None:
    images, masks = root / "images", root / "masks"
    (masks / "img_000.png").unlink()
    (images / "img_001.jpg").unlink()
    (images / "img_002.jpg").write_bytes(b"")
    (masks / "img_003.png").write_text("no image")
    cv2.imwrite(str(masks / "img_004.png"), disc(4, 30, 40))
    write_pair(images, masks, "twice", 7)
    cv2.imwrite(str(images / "twice.png"), image_file(7))
    assert sorted(problems(root)) == [
        "images/img_000.jpg: no mask masks/img_000.*",
        "images/img_002.jpg: empty file (0 bytes)",
        "images/twice.png: same stem as twice.jpg; keep one of them",
        "masks/img_001.png: no image images/img_001.*",
        "masks/img_003.png: not an image, or damaged",
        "masks/img_004.png: 40×30, but its image images/img_004.jpg is 52×37",
    ]


def test_faults_can_be_skipped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "masks" / "img_000.png").unlink()
    (root / "masks" / "img_003.png").write_text("no image")
    pairs = index_pairs(root, OWN, "mine", on_error="skip")
    assert [pair.name for pair in pairs] == ["img_001", "img_002", "img_004"]
    assert caplog.text.count("mine: skipping") == 2


def test_missing_folder_says_where_to_get_it(root: Path) -> None:
    source = FolderPair(["DUTS-TR/DUTS-TR-Image", "DUTS-TR/images"], "masks", hint="http://duts")
    assert problems(root, source) == [
        "no folder DUTS-TR/DUTS-TR-Image (nor DUTS-TR/images)."
        " Get the set from http://duts and put it there."
    ]


def test_mirrors_are_found_and_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pairs = index_pairs(root, FolderPair(["gone", "images"], ["gt", "masks"]), "mine")
    assert len(pairs) == 5
    assert f"mine: found as {root / 'images'}" in caplog.text


def test_count_of_the_release(root: Path) -> None:
    assert len(index_pairs(root, FolderPair("images", "masks", count=5), "mine")) == 5
    (message,) = problems(root, FolderPair("images", "masks", count=6))
    assert message.startswith("5 pairs found, 6 expected")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert "no pair of an image and a mask" in problems(tmp_path)[0]


def test_known_faulty_names_are_left_out(root: Path) -> None:
    cv2.imwrite(str(root / "masks" / "img_002.png"), disc(2, 30, 40))
    cv2.imwrite(str(root / "masks" / "img_002.jpg"), disc(2, 30, 40))
    known = FolderPair("images", "masks", count=5, known_faulty=("img_002",))
    for problem in problems(root, known):
        assert "known fault of old copies" in problem
        assert "exclude=[img_002]" in problem
    without = FolderPair("images", "masks", count=5, exclude=("img_002",))
    assert len(index_pairs(root, without, "mine")) == 4


def test_mask_suffix_in_one_folder(tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), image_file(i))
        cv2.imwrite(str(tmp_path / f"{i}_mask.png"), disc(i))
    assert "need mask_suffix" in problems(tmp_path, FolderPair(".", "."))[0]
    pairs = index_pairs(tmp_path, FolderPair(".", ".", mask_suffix="_mask"), "mine")
    assert [(pair.name, pair.mask.name) for pair in pairs] == [
        (str(i), f"{i}_mask.png") for i in range(3)
    ]


def test_table_of_pairs(root: Path) -> None:
    table = root / "pairs.csv"
    rows = [f"images/img_{i:03d}.jpg,masks/img_{i:03d}.png" for i in range(3)]
    table.write_text("\ufeffimage,mask\n" + "\n".join(rows), encoding="utf-8")
    pairs = index_pairs(root, CsvTable("pairs.csv"), "mine")
    assert [pair.name for pair in pairs] == [f"images/img_{i:03d}" for i in range(3)]
    table.write_text("image,mask\n" + "\n".join([rows[0], rows[0], "x.jpg,", "gone.jpg,gone.png"]))
    found = problems(root, CsvTable("pairs.csv"))
    assert found[:2] == [
        "pairs.csv, line 3: image images/img_000.jpg again, or another of its stem",
        "pairs.csv, line 4: image or mask is empty",
    ]
    assert found[2].startswith("gone.jpg: [Errno 2]")
    table.write_text("photo,mask\n")
    (message,) = problems(root, CsvTable("pairs.csv"))
    assert "has columns ['photo', 'mask'], needs image and mask" in message
    assert problems(root, CsvTable("gone.csv", hint="x")) == [
        "no file gone.csv. Get the set from x and put it there."
    ]


def test_joined_names_say_their_set(root: Path) -> None:
    pairs = index_pairs(root, OWN, "a")
    assert join_sets({"a": pairs}) == pairs
    assert join_sets({"a": pairs, "b": pairs})[5].name == "b/img_000"


def test_hold_out_depends_on_names_alone(root: Path) -> None:
    pairs = index_pairs(root, OWN, "a")
    many = [pair._replace(name=f"{i}") for i in range(400) for pair in pairs[:1]]
    kept, held = split_by_hash(many, 0.1)
    assert len(kept) + len(held) == 400
    assert 20 < len(held) < 60
    assert set(held) == set(split_by_hash(many[::-1], 0.1)[1])
    assert set(split_by_hash(many[:200], 0.1)[1]) == set(held) & set(many[:200])
    assert len(split_by_hash(pairs, 1e-6)[1]) == 1, "a share that is asked for is never empty"
    assert split_by_hash(pairs, 0) == (pairs, [])
    assert split_by_hash([], 0.1) == ([], [])


def test_fingerprint_changes_with_content_and_not_with_place(root: Path, tmp_path: Path) -> None:
    first = fingerprint(index_pairs(root, OWN, "a"))
    assert first["count"] == 5
    moved = tmp_path / "elsewhere"
    write_set(moved / "images", moved / "masks", 5)
    assert fingerprint(index_pairs(moved, OWN, "a")) == first
    cv2.imwrite(str(moved / "images" / "img_000.jpg"), image_file(77, 36, 48))
    assert fingerprint(index_pairs(moved, OWN, "a"))["sha256"] != first["sha256"]


def turn_first(root: Path, tag: int, transposed: Image.Transpose | None = None) -> None:
    image = min((root / "images").iterdir())
    with Image.open(image) as stored:
        pixels = stored.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = tag
    (pixels.transpose(transposed) if transposed else pixels).save(image, exif=exif)


@pytest.mark.parametrize("tag", range(2, 9))
def test_a_turn_that_only_the_image_carries_is_named(tmp_path: Path, tag: int) -> None:
    """A half turn leaves the size as it is, so that nothing else shows it."""
    write_set(tmp_path / "images", tmp_path / "masks", 2)
    turn_first(tmp_path, tag)
    pairs, problems = scan_pairs(tmp_path, FolderPair("images", "masks"), "a")
    assert len(pairs) == 1
    (problem,) = problems
    assert f"the image's EXIF orientation is {tag}, the mask's 1" in problem
    assert ("masks_upright=true" in problem) == (tag < 5), "a quarter turn shows in the size"
    upright = FolderPair("images", "masks", masks_upright=True)
    assert len(scan_pairs(tmp_path, upright, "a")[0]) == (2 if tag < 5 else 1)


def test_a_mask_on_the_turned_image_needs_no_tag_where_its_size_says_so(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 1)
    turn_first(tmp_path, 6, Image.Transpose.ROTATE_90)
    assert scan_pairs(tmp_path, FolderPair("images", "masks"), "a")[1] == []


@pytest.mark.parametrize("name", ["z.jp2", "z.PSD", "z.gif", "z.cr2"])
def test_images_of_kinds_that_are_not_read_are_named(root: Path, name: str) -> None:
    (root / "images" / name).touch()
    (root / "images/readme.txt").touch()
    read = next((root / "images").glob("*.jpg"))
    read.with_suffix(".gif").touch()  # a copy of an image that is read
    with pytest.raises(DataError) as error:
        index_pairs(root, OWN, "mine")
    (problem,) = error.value.problems
    assert problem.startswith(f"{root / 'images' / name}: {Path(name).suffix.lower()} is not read")
