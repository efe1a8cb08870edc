"""Where a COCO file and its images lie: as COCO, Roboflow and CVAT write them, or by path."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .coco_file import EntryError, find_image
from .pairs import DataError

log = logging.getLogger(__name__)

_ROBOFLOW = "_annotations.coco.json"
# What other tools call the parts that COCO calls train2017, val2017 and test2017.
_PARTS = {
    "train": ("train", "Train", "default"),
    "val": ("valid", "val", "Validation", "validation"),
    "test": ("test", "Test"),
}


class Layout(NamedTuple):
    """An annotation file and the folders where its images may be, the likeliest first.

    name: Of the set; that of the release, `COCO-train2017`, where it has the release's layout.
    """

    name: str
    annotations: Path
    folders: tuple[Path, ...]

    def folder_of(self, names: Sequence[Any]) -> Path:
        """The folder that has the first of the images, else the first that exists.

        Raises:
            DataError: None exists.
        """
        there = [folder for folder in self.folders if folder.is_dir()]
        if not there:
            places = ", ".join(map(str, self.folders))
            raise DataError("COCO", [f"no folder of images for {self.annotations}: {places}"])
        for folder in there:
            try:
                find_image(folder, names[0] if names else None)
            except EntryError:
                continue
            return folder
        return there[0]


def find_layout(
    root: Path, split: str, annotations: str | None = None, images: str | None = None
) -> Layout:
    """Find the annotation file of a split.

    Args:
        root: Of the set.
        split: As COCO calls it; `train2017` is looked for as `train` too, `val2017` as `valid`.
        annotations: The file below `root`, instead of looking for it.
        images: The folder of the images below `root`.

    Raises:
        DataError: There is no such file, with the places where it was looked for.
    """
    if annotations is not None:
        path = root / Path(annotations).expanduser()
        folders = (root / Path(images).expanduser(),) if images is not None else (path.parent, root)
        known = [Layout(f"{root.resolve().name}/{path.stem}", path, folders)]
    else:
        known = list(_known(root, split))
        if images is not None:
            folder = root / Path(images).expanduser()
            known = [layout._replace(folders=(folder,)) for layout in known]
    for layout in known:
        if layout.annotations.is_file():
            if layout is not known[0]:
                log.info("%s is read from %s", split, layout.annotations)
            return layout
    looked = ", ".join(dict.fromkeys(str(layout.annotations) for layout in known))
    raise DataError(
        "COCO",
        [f"no annotations for {split} in {root}; looked for {looked}"],
        "Name your own with data.train.annotations=FILE data.train.images=FOLDER, below data.root "
        "(data.test.COCO-val.… for the test; '~data.test.COCO-val' leaves it out). The released "
        "set is at cocodataset.org.",
    )


def _known(root: Path, split: str) -> Iterator[Layout]:
    released = root / "annotations" / f"instances_{split}.json"
    yield Layout(f"COCO-{split}", released, (root / split, root / "images" / split))
    kind = next((kind for kind in _PARTS if split.startswith(kind)), None)
    set_name = root.resolve().name
    for part in dict.fromkeys((split, *_PARTS.get(kind or "", ()))):
        folder = root / part
        yield Layout(f"{set_name}/{part}", folder / _ROBOFLOW, (folder,))
        cvat = root / "annotations" / f"instances_{part}.json"
        folders = (root / "images" / part, root / "images", folder, root)
        yield Layout(f"{set_name}/{part}", cvat, folders)
    if kind == "train":
        yield Layout(set_name, root / _ROBOFLOW, (root,))
