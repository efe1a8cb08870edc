"""Writes sets of objects in miniature, two images each, laid out as they were released."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from omegaconf import DictConfig

from tests.datamodules.miniatures import image_file, write_pair
from tests.datamodules.test_pascal_sbd import write_pascal

SIZE = (36, 48)
PAIRS = 2  # of files, in each folder
FRAMES = ("bear/00009", "camel/00012")
PATTERNS = {"waterway": (slice(4, 30), slice(6, 12)), "weed_cluster": (slice(2, 8), slice(20, 44))}


def blank(dtype: type = np.uint8) -> np.ndarray:
    return np.zeros(SIZE, dtype)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_grabcut(root: Path) -> None:
    """Gray 128 around the objects, one mask a BMP."""
    for i, extension in enumerate((".png", ".bmp")):
        mask = blank()
        mask[8:28, 8:30], mask[10:26, 10:28] = 128, 255
        write(root / f"GrabCut/data_GT/photo{i}.jpg", image_file(i))
        write(root / f"GrabCut/boundary_GT/photo{i}{extension}", mask)


def write_berkeley(root: Path) -> None:
    """Two objects of one image."""
    for i in range(PAIRS):
        mask = blank()
        mask[8:28, 8 + 20 * i : 20 + 20 * i] = 255
        write(root / f"Berkeley/images/3096-{i}.jpg", image_file(0))
        write(root / f"Berkeley/masks/3096-{i}.png", mask)


def write_davis(root: Path, images: str = "DAVIS/img", masks: str = "DAVIS/gt") -> None:
    """Two objects in two colors, one of them dark, which count as one."""
    for i in range(PAIRS):
        colors = np.zeros((*SIZE, 3), np.uint8)
        colors[4:20, 4:20, 2], colors[20:30, 25:40, 1] = 128, 20
        write(root / images / f"{i:05d}.jpg", image_file(i))
        write(root / masks / f"{i:05d}.png", colors)


def write_coco_mval(root: Path) -> None:
    write_davis(root, "COCO_MVal/img", "COCO_MVal/gt")


def write_davis_585(root: Path) -> None:
    """An object in each sequence; first masks lie above it (sp) and to its right (stm)."""
    for i, frame in enumerate(FRAMES):
        image = root / "DAVIS-585" / f"{frame}.jpg"
        write(image, image_file(i))
        for kind, rows, columns in (
            ("", slice(10, 30), slice(10, 30)),
            ("init_sp_", slice(8, 28), slice(10, 30)),
            ("init_stm_", slice(10, 30), slice(12, 32)),
        ):
            mask = blank()
            mask[rows, columns] = 255
            write(image.with_name(f"{kind}object1_{image.stem}.png"), mask)


def write_hqseg(root: Path) -> None:
    """Folders of images and masks, and in cascade_psp both in one folder."""
    for images, masks in (
        ("DIS5K/DIS-VD/im", "DIS5K/DIS-VD/gt"),
        ("DIS5K/DIS-TR/im", "DIS5K/DIS-TR/gt"),
        *(
            (f"thin_object_detection/{a}", f"thin_object_detection/{b}")
            for a, b in (
                ("ThinObject5K/images_test", "ThinObject5K/masks_test"),
                ("ThinObject5K/images_train", "ThinObject5K/masks_train"),
                ("COIFT/images", "COIFT/masks"),
                ("HRSOD/images", "HRSOD/masks_max255"),
            )
        ),
        *(
            (f"cascade_psp/{name}",) * 2
            for name in ("fss_all", "DUTS-TR", "DUTS-TE", "ecssd", "MSRA_10K")
        ),
    ):
        for i in range(PAIRS):
            write_pair(root / images, root / masks, f"thin{i}", seed=i)


def write_cityscapes(root: Path) -> None:
    """A road, a group of cars, two cars, a rider and a trailer, in each of two cities."""
    labels = blank(np.uint16)
    labels[20:] = 7
    for value, rows, columns in (
        (26, slice(2, 6), slice(0, 20)),
        (26000, slice(8, 16), slice(2, 14)),
        (26001, slice(8, 16), slice(16, 28)),
        (25000, slice(4, 20), slice(32, 38)),
        (30000, slice(22, 30), slice(5, 15)),
    ):
        labels[rows, columns] = value
    for i, city in enumerate(("frankfurt", "munster")):
        stem = f"{city}/{city}_000000_00029{i}"
        write(root / f"leftImg8bit/val/{stem}_leftImg8bit.png", image_file(i))
        place = root / f"gtFine/val/{stem}_gtFine"
        write(Path(f"{place}_instanceIds.png"), labels)
        write(Path(f"{place}_labelIds.png"), (labels // 1000).astype(np.uint8))
        Path(f"{place}_polygons.json").write_text("{}")


def write_rooftop(root: Path) -> None:
    """Two buildings an image."""
    for i in range(PAIRS):
        labels = blank()
        labels[3:15, 3:15], labels[20:30, 20:40] = 1, 2
        write(root / f"Rooftop/images/tile{i}.png", image_file(i))
        write(root / f"Rooftop/instances/tile{i}.png", labels)


def write_sstem(root: Path) -> None:
    """Three mitochondria, of which two meet at a corner; the second section has no others."""
    stack = root / "groundtruth-drosophila-vnc" / "stack1"
    for i in range(PAIRS):
        mask = blank()
        mask[3:10, 3:10], mask[10:18, 10:18], mask[22:32, 25:40] = 255, 255, 255
        write(stack / f"raw/{i:02d}.tif", image_file(i)[..., 0])
        write(stack / f"mitochondria/{i:02d}.png", mask)
        write(stack / f"membranes/{i:02d}.png", blank())


def write_agriculture_vision(root: Path) -> None:
    """Two patterns of the six: a waterway that leaves the field, weeds around an invalid column."""
    split = root / "Agriculture-Vision" / "val"
    for i, field in enumerate(("1A2B_0-0-512-512", "3C4D_512-0-1024-512")):
        write(split / f"images/rgb/{field}.jpg", image_file(i))
        write(split / f"images/nir/{field}.jpg", image_file(i)[..., 0])
        for pattern in (
            *("cloud_shadow", "double_plant", "planter_skip"),
            *("standing_water", "waterway", "weed_cluster"),
        ):
            mask = blank()
            if pattern in PATTERNS:
                mask[PATTERNS[pattern]] = 255
            write(split / f"labels/{pattern}/{field}.png", mask)
        boundary, valid = blank(), blank()
        boundary[:20], valid[:] = 255, 255
        valid[:, 30] = 0
        write(split / f"boundaries/{field}.png", boundary)
        write(split / f"masks/{field}.png", valid)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "GrabCut": write_grabcut,
    "Berkeley": write_berkeley,
    "SBD": write_pascal,
    "VOC-val": write_pascal,
    "DAVIS": write_davis,
    "DAVIS-585": write_davis_585,
    "COCO-MVal": write_coco_mval,
    "HQSeg-44K": write_hqseg,
    "Cityscapes": write_cityscapes,
    "Rooftop": write_rooftop,
    "ssTEM": write_sstem,
    "Agriculture-Vision": write_agriculture_vision,
}
# Each by the name of its file in conf/data.
DATA = {
    "grabcut": ["GrabCut"],
    "berkeley": ["Berkeley"],
    "sbd": ["SBD"],
    "pascal_voc": ["VOC-val"],
    "davis_interactive": ["DAVIS"],
    "davis_585": ["DAVIS-585"],
    "coco_mval": ["COCO-MVal"],
    "hqseg_44k": ["HQSeg-44K"],
    "cityscapes": ["Cityscapes"],
    "rooftop": ["Rooftop"],
    "sstem": ["ssTEM"],
    "agriculture_vision": ["Agriculture-Vision"],
    "interactive": [
        *("GrabCut", "Berkeley", "SBD", "VOC-val", "DAVIS", "DAVIS-585", "COCO-MVal", "HQSeg-44K"),
    ],
}
# Of SBD's two images each split one has one object, and val's other has two.
_WRITTEN = {"count": PAIRS, "image_count": 2, "object_count": 3}


def write_sets(cfg: DictConfig, root: Path) -> None:
    """Write the test sets of a config, and have it expect as many files as are written."""
    for name in cfg.data.test:
        LAYOUTS[name](root)
    for part in (cfg.data.train, *cfg.data.test.values()):
        _expect_written(part)
    cfg.data.root = str(root)


def _expect_written(node: DictConfig | None) -> None:
    for key, value in (node or {}).items():
        if isinstance(value, DictConfig):
            _expect_written(value)
        elif key in _WRITTEN and isinstance(value, int):
            node[key] = _WRITTEN[key]
