"""Objects of PASCAL VOC 2012 and of SBD, the Semantic Boundaries Dataset (Hariharan, ICCV 2011)."""

from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.io

from src.datamodules.images import ImageError, header_size
from src.datamodules.instance_sources import (
    InstanceAnnotation,
    InstanceList,
    cached_annotations,
    without_small,
)
from src.datamodules.label_maps import label_areas, read_labels
from src.datamodules.pairs import DataError, wrong_count
from src.paths import cache_folder
from src.processing.crop import box_of_mask

VOID = 255
SPLITS = ("train", "val", "trainval")
SBD_SPLITS = ("train", "val")

_VOC = ("VOCdevkit/VOC2012", "VOC2012", "VOCtrainval_11-May-2012/VOCdevkit/VOC2012", ".")
_SBD = ("benchmark_RELEASE/dataset", "SBD/benchmark_RELEASE/dataset", "SBD/dataset", "SBD")
_VOC_SOURCE = (
    "VOCtrainval_11-May-2012.tar (2 GB) from http://host.robots.ox.ac.uk/pascal/VOC/voc2012"
)
_SBD_SOURCE = (
    "SBD (benchmark.tgz, 1.4 GB) from https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/"
    "grouping/semantic_contours"
)


class _PascalList(InstanceList):
    """Objects of VOC's palette maps, in which 255 is void, and of SBD's .mat files without void."""

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = _instances(annotation)
        of_voc = annotation.suffix == ".png"
        return labels, (labels == VOID) if of_voc else np.zeros(labels.shape, bool)


class PascalInstances(_PascalList):
    """Objects of PASCAL VOC 2012's segmentation splits, with SBD's for training.

    Of SBD's images those of VOC's validation split are left out, and those that the VOC split
    itself has: VOC's annotation is the better one. With VOC's train split that is 10 582 images.
    Pixels around VOC's objects are void; SBD has none. `2007_000032_1` is the first object of its
    image; a category is VOC's class, 1 to 20.

    Args:
        root: Folder with `VOCdevkit/VOC2012`, and `benchmark_RELEASE/dataset` for SBD.
        split: VOC's list of images.
        use_sbd: Add SBD.
        min_area: Objects of fewer pixels are left out, with a count.
        cache_dir: Folder of the list of objects, which takes a minute to make; None: see
            `cache_folder`.

    Raises:
        DataError: A folder is missing, with where to get it; or files are missing, all of them.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "val", "trainval"] = "train",
        use_sbd: bool = False,
        min_area: int = 1,
        cache_dir: str | Path | None = None,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"PASCAL VOC has no split {split!r}; choose of {', '.join(SPLITS)}")
        if use_sbd and split != "train":
            raise ValueError("SBD shares images with VOC's val; use_sbd needs the split train")
        self.root = Path(root).expanduser()
        where = f"PASCAL VOC 2012 {split}{' + SBD' if use_sbd else ''}"
        files = self._voc_files(split)
        if use_sbd:
            files += self._sbd_files()
        records = cached_annotations(files, _find, cache_folder(cache_dir), where)
        sets = (f"VOC2012-{split}", *(["SBD"] if use_sbd else []))
        super().__init__(without_small(records, min_area, where), sets)

    def _voc_files(self, split: str) -> list[tuple[Path, Path]]:
        voc = self._voc()
        return [
            (voc / "JPEGImages" / f"{name}.jpg", voc / "SegmentationObject" / f"{name}.png")
            for name in self._voc_names(split)
        ]

    def _sbd_files(self) -> list[tuple[Path, Path]]:
        sbd = _sbd(self.root)
        names = {name for part in ("train", "val") for name in _read_list(sbd / f"{part}.txt")}
        names -= {*self._voc_names("train"), *self._voc_names("val")}
        return _files_of_sbd(sbd, sorted(names))

    def _voc_names(self, split: str) -> list[str]:
        return _read_list(self._voc() / "ImageSets" / "Segmentation" / f"{split}.txt")

    def _voc(self) -> Path:
        return _folder(self.root, _VOC, "SegmentationObject", _VOC_SOURCE)


class SbdInstances(_PascalList):
    """SBD by its own lists, as the interactive field trains and tests: 20 172 and 6671 objects.

    Its train list has images of VOC's val split. Objects are named `2008_000777_1`; a category is
    VOC's class, 1 to 20; nothing is void.

    Args:
        root: Folder with `benchmark_RELEASE/dataset`, or `SBD` as the field's loaders have it.
        split: SBD's list of images, 8498 and 2857 of them.
        min_fill: Objects that fill less than this share of their tight box are left out; RITM,
            SimpleClick and SegNext train on those of .08 and more, and test on all.
        image_count: Released images of the split; another number is an error.
        object_count: The same of its objects, of those that `min_fill` leaves.
        min_area: Objects of fewer pixels are left out, with a count.
        cache_dir: Folder of the list of objects; None: see `cache_folder`.

    Raises:
        DataError: The folder is missing, with where to get it; or files are missing, all of them.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "val"] = "val",
        min_fill: float = 0.0,
        image_count: int | None = None,
        object_count: int | None = None,
        min_area: int = 1,
        cache_dir: str | Path | None = None,
    ) -> None:
        if split not in SBD_SPLITS:
            raise ValueError(f"SBD has no split {split!r}; choose of {', '.join(SBD_SPLITS)}")
        if not 0 <= min_fill <= 1:
            raise ValueError(f"min_fill is {min_fill}; it is a share, from 0 to 1")
        where = f"SBD {split}{f', boxes filled from {min_fill}' if min_fill else ''}"
        folder = _sbd(Path(root).expanduser())
        names = sorted(_read_list(folder / f"{split}.txt"))
        if problems := wrong_count(len(names), image_count, "images", "image_count"):
            raise DataError(where, problems)
        files, find = _files_of_sbd(folder, names), partial(_find, min_fill=min_fill)
        records = cached_annotations(files, find, cache_folder(cache_dir), where)
        if problems := wrong_count(len(records), object_count, "objects", "object_count"):
            raise DataError(where, problems)
        super().__init__(without_small(records, min_area, where), (f"SBD-{split}",))


def _sbd(root: Path) -> Path:
    return _folder(root, _SBD, "inst", _SBD_SOURCE)


def _files_of_sbd(folder: Path, names: Sequence[str]) -> list[tuple[Path, Path]]:
    return [(folder / "img" / f"{name}.jpg", folder / "inst" / f"{name}.mat") for name in names]


def _folder(root: Path, candidates: Sequence[str], inside: str, source: str) -> Path:
    for candidate in candidates:
        if (root / candidate / inside).is_dir():
            return root / candidate
    place = root / candidates[0] / inside
    raise DataError("PASCAL", [f"no folder {place}. Get {source} and unpack it in {root}"])


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError("PASCAL", [f"no file {path}"])
    return path.read_text().split()


def _find(image: Path, annotation: Path, min_fill: float = 0.0) -> list[InstanceAnnotation]:
    labels = _instances(annotation)
    if header_size(image) != labels.shape:
        raise ImageError(f"{annotation}: {labels.shape}, but {image} is {header_size(image)}")
    categories = _categories(annotation, labels)
    areas = label_areas(labels, void=VOID)
    if nameless := sorted(set(areas) - set(categories)):
        raise ImageError(f"{annotation}: objects {nameless} have no category")
    return [
        InstanceAnnotation(
            f"{image.stem}_{label}", str(image), str(annotation), label, categories[label], area
        )
        for label, area in areas.items()
        if not min_fill or area >= min_fill * _box_area(labels == label)
    ]


def _box_area(mask: np.ndarray) -> int:
    return prod(box_of_mask(mask).size)


def _instances(annotation: Path) -> np.ndarray:
    """Labels `(H, W)` of the objects; 0 is background, 255 void (VOC)."""
    if annotation.suffix == ".png":
        return read_labels(annotation)
    return np.asarray(_read_mat(annotation)["Segmentation"])


def _categories(annotation: Path, labels: np.ndarray) -> dict[int, int]:
    """Class of each object: SBD lists them, VOC has a second map."""
    if annotation.suffix == ".mat":
        listed = np.atleast_1d(_read_mat(annotation)["Categories"]).reshape(-1)
        return {i: int(category) for i, category in enumerate(listed, start=1)}
    classes = read_labels(annotation.parent.parent / "SegmentationClass" / annotation.name)
    if classes.shape != labels.shape:
        raise ImageError(f"{annotation}: {labels.shape}, its classes are {classes.shape}")
    return {
        label: int(np.bincount(classes[labels == label]).argmax())
        for label in label_areas(labels, void=VOID)
    }


def _read_mat(path: Path) -> Any:
    try:
        return scipy.io.loadmat(str(path), simplify_cells=True)["GTinst"]
    except Exception as error:  # scipy raises a dozen kinds for damaged files
        raise ImageError(f"{path}: not an annotation of SBD ({error})") from None
