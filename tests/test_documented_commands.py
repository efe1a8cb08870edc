"""The commands of docs/ and experiments/ are carried out, each in a few small steps.

What makes them quick (miniatures of the data sets, small inputs and networks, one step) is added
behind each command; a sweep does the first of its jobs. What stands in `ELSEWHERE` cannot be done
so, and names what does it instead; README.md, docs/tutorial.md and docs/extend.md have their own
tests.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import nn

from src.cli import config_of
from src.command_line import quote_overrides
from src.evaluation.maps import score_folder
from src.metrics import DEFAULT_METRICS
from src.networks.iog import IOG
from src.training.config import register
from src.training.execute import build_module
from src.weights.loading import create, to_official

from .conftest import RunCommand
from .datamodules.miniatures import write_set
from .datamodules.test_pascal_sbd import write_pascal
from .documented import PAGES, Command, blocks, commands, first
from .onnx_files import write as write_onnx
from .reporting.run_folders import write_run
from .running import ROOT
from .test_objects import write_objects

OWN_TESTS = ("README.md", "docs/tutorial.md", "docs/extend.md")
ELSEWHERE = {
    "python app.py": "test_app.py, page/",
    "python -m src export weights=isnet.pth": "export/test_export.py, on small photos",
    "python -m src benchmark": "benchmark/",
    "python export.py model=isnet": "export/ does every network, this one at full size",
    "python predict.py weights=Plus_Ultra": "needs the file; blended: prediction/test_blended.py",
    "python predict.py weights=birefnet_general": "needs the file; networks/test_birefnet.py",
    "python predict.py weights=u2net_human_seg.pth input=clip.mp4": "prediction/test_video.py",
    "python train.py model=u2netp data=synthetic logger=wandb": "test_train.py, offline",
    "python train.py model=u2netp data=synthetic logger=": "training/test_trackers.py",
    "make reproduce": "reproduce/",
    "python -m src models": "weights/test_models_command.py, from a local server",
    "python -m src data": "datamodules/test_get.py, from a local server",
    "python -m src data shard": "datamodules/test_shards.py",
    "python train.py model=isnet data=shards": "datamodules/test_shards.py, from a local server",
    "python -m src predict photo.jpg weights=": "engines/test_onnx_model.py, export/test_share.py",
    "python -m src evaluate weights=u2net.onnx": "engines/test_onnx_model.py",
    "python -m src evaluate weights=exports/": "engines/test_onnx_model.py",
    "python -m src export weights=logs/": "export/test_share.py",
    "python export.py model=u2netp weights=mine.pth verify_on": "export/test_export.py",
    "python train.py -m sweep=optuna sweep.storage=": "test_sweeps.py, on a server of its own",
    "make setup": "CI",
    "make lint test": "CI",
    "make quick": "a part of those",
    "make test-lowest": "CI",
    "python train.py model=isnet data=dis5k data.root=~/sets memory=auto": "training/",
    "python train.py model=inspyrenet_swinb data=duts data.root=~/sets late": "training/",
    "python train.py model=u2net data=folder data.root=~/mine backgrounds": "datamodules/",
    "python train.py resume=logs/": "runs/test_resume.py, test_train.py",
    "make format": "changes files",
    "make bench": "ten minutes, by hand",
    "make docs": "installs its tools, by hand",
    "make constraints": "asks the registry, by hand; test_constraints.py reads what it wrote",
    "python -m tests.faults": "eight minutes, by hand; faults/ does a part",
}
FOREIGN = ("git", "pip", "curl", "wandb", "source", "docker")  # not ours
STARTERS = ("srun", "torchrun")

COUNT = 3  # images of a miniature
QUICK = {
    "train": [
        "debug=miniature", "+trainer.limit_train_batches=1", "trainer.devices=1",
        "trainer.num_nodes=1",
    ],
    "evaluate": ["data.num_workers=0", "trainer.accelerator=cpu"],
    "predict": ["size=64", "device=cpu", "precision=fp32"],
    "annotate": ["size=64", "device=cpu"],
}  # fmt: skip
SMALL = {
    "isnet": ["model.network.width=4", "model.teacher.checkpoint=teacher.pth"],
    "inspyrenet": ["model.network.backbone=resnet18", "+model.network.depth=8"],
    "birefnet": ["model.network.backbone=resnet18"],
    "dextr": ["model.network.backbone=resnet18"],
    "iog": ["model.network.backbone=resnet18"],
}
# What stands for released files: networks of random weights, and small ones where they are trained.
STAND_INS: dict[str, tuple[str, dict[str, Any]]] = {
    "u2net.pth": ("u2net", {}),
    "mine.pth": ("isnet", {}),
    "isnet-general-use.pth": ("isnet", {"width": 4}),
    "iog_pascal_sbd.pth": ("iog", {}),
    "teacher.pth": ("isnet_gt_encoder", {"width": 4}),
}


def carried_out_here() -> list[Command]:
    ours = (c for c in commands() if c.page not in (*OWN_TESTS, "docs/models.md"))
    lines = {" ".join(c.words): c for c in ours if c.words[0] not in FOREIGN}
    return [c for line, c in lines.items() if not any(line.startswith(e) for e in ELSEWHERE)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a stand-in when it is first asked for."""
    folder = tmp_path_factory.mktemp("weights")

    def file(name: str) -> Path:
        path = folder / name
        if not path.exists():
            kind, arguments = STAND_INS[name]
            torch.save(to_official(finding(create(kind, **arguments))), path)
        return path

    return file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder that is also the one to work in, with photos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FINECUT_DATA", str(tmp_path / "sets"))
    write_set(tmp_path / "photos", tmp_path / "cutouts", 8)
    yield tmp_path
    GlobalHydra.instance().clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("command", carried_out_here(), ids=str)
def test_a_documented_command_works(
    command: Command,
    home: Path,
    weights: Callable[[str], Path],
    run_command: RunCommand,
) -> None:
    words = [word.replace("<run>", "run") for word in plain(list(command.words))]
    name = Path(words[0]).stem
    if name == "tables":
        write_runs(home)
        score_folder("cutouts", "cutouts", "amulet_scores", ["mba"], workers=1)
        differ = "verify" in words  # what these runs found is far from the printed numbers
        run_command(*words, code=int(differ))
        return
    lay_out_files(words, home, weights)
    words += QUICK.get(name, [])
    of_maps = any(word.startswith(("maps=", "results=")) for word in words)
    if (name in ("train", "evaluate") or words[0] == "-m") and not of_maps:
        words += small_data_and_network(words, home)
    run_command(*words)
    if name == "train" and "dry_run=true" not in words:
        assert list(home.glob("logs/**/checkpoints/*.ckpt"))


@pytest.mark.parametrize("page", ["interactive", "metrics", "predict", "export"])
def test_the_python_of_a_page_works(page: str, home: Path, weights: Callable[[str], Path]) -> None:
    """docs/extend.md, the only other page with Python, is carried out by test_extend.py."""
    (home / "u2net.pth").symlink_to(weights("u2net.pth"))
    write_onnx(home / "u2net.onnx")
    write_onnx(home / "mine.onnx", (1, 3, 512, 512))
    write_checkpoint(home / "logs/<run>/checkpoints/best.ckpt", "dextr")
    mask = np.zeros((320, 120), np.uint8)
    mask[40:301, 31:93] = 255
    for name in ("photo.jpg", "street.jpg"):
        Image.fromarray(np.repeat(mask[..., None], 3, axis=2)).save(home / name)
    score_folder("cutouts", "cutouts", "scores", ["mae"], workers=1)
    known: dict[str, Any] = {"prediction": mask, "truth": mask}
    text = "\n".join(blocks(ROOT / "docs" / f"{page}.md", "python"))
    exec(compile(text, f"docs/{page}.md", "exec"), known)
    assert known.get("mask", mask).shape == (320, 120)


def test_all_pages_with_python_are_tested() -> None:
    with_python = {page.stem for page in PAGES if blocks(page, "python")}
    assert with_python == {"interactive", "metrics", "predict", "export", "extend", "reference"}


def plain(words: list[str]) -> list[str]:
    """The words behind `python`, of one process and one job."""
    if words[0] == "make":
        listed = subprocess.check_output(
            ["make", "-n", "--no-print-directory", *words[1:]], cwd=ROOT, text=True
        )
        words = shlex.split(listed.strip().splitlines()[-1])
    if words[0] in STARTERS:
        words = words[next(i for i, w in enumerate(words) if w.endswith(".py")) - 1 :]
    words = [os.path.expandvars(word) for word in words[1:]]
    if "-m" not in words[1:]:
        return words
    words.remove("-m")
    settings = [w for w in words[1:] if not w.startswith(("sweep", "launcher"))]
    parsed = OverridesParser.create().parse_overrides(quote_overrides(settings))
    return [words[0], *(first(override) for override in parsed)]


def lay_out_files(words: list[str], home: Path, weights: Callable[[str], Path]) -> None:
    """The files that the words name: released weights, a checkpoint of a run, boxes."""
    (home / "teacher.pth").symlink_to(weights("teacher.pth"))
    for word in words:
        value = word.partition("=")[2]
        if value.endswith(".pth"):
            (home / value).symlink_to(weights(value))
        if "/run/" in value:
            guided = words[0] == "annotate.py" or "data=objects" in words
            write_checkpoint(home / value, "iog" if guided else "u2netp")
    if words[0] == "annotate.py":
        write_boxes(home)
    if "maps=ROOT" in words:
        for folder in ("ROOT/Ours/SOD", "ROOT/Theirs/SOD", "SETS/SOD"):
            shutil.copytree(home / "cutouts", home / folder)
    if "trimaps=P3M/trimap" in words:
        for folder in ("MAPS", "P3M/mask", "P3M/trimap"):
            shutil.copytree(home / "cutouts", home / folder)
    if any(word.startswith("results=") for word in words):
        (home / "logs").mkdir(exist_ok=True)
        for method in ("paper/DSS", "paper/PiCANet"):
            shutil.copytree(home / "cutouts", home / method.replace("paper", "maps"))
            maps = home / method.replace("paper", "maps")
            score_folder(maps, "cutouts", method, DEFAULT_METRICS, workers=1)


def finding(network: nn.Module) -> nn.Module:
    """A click-guided network that finds the object everywhere: an empty mask is a failure."""
    if isinstance(network, IOG):
        norm = network.fine.predict[-1]
        nn.init.zeros_(norm.weight)
        nn.init.ones_(norm.bias)
    return network


def write_checkpoint(path: Path, model: str) -> None:
    """What a run leaves, of a click-guided model on a small backbone."""
    small = [f"model={model}", *SMALL.get(model, []), "debug=miniature"]
    cfg = composed("train", [*small, "model.network.pretrained=false"] if model in SMALL else small)
    module = build_module(cfg)
    finding(module.network)
    checkpoint: dict[str, Any] = {
        "state_dict": module.state_dict(),
        "pytorch-lightning_version": lightning.__version__,
    }
    module.on_save_checkpoint(checkpoint)
    path.parent.mkdir(parents=True)
    torch.save(checkpoint, path)


def write_boxes(home: Path) -> None:
    """A box in the first two photos, as COCO's annotations and as a detector's list."""
    names = sorted(path.name for path in (home / "photos").iterdir())[:2]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    boxes = [{"image_id": i, "bbox": [5, 6, 25, 22], "score": 0.9} for i in range(2)]
    numbered = [{"id": i, "category_id": 1, **box} for i, box in enumerate(boxes)]
    content = {"images": images, "annotations": numbered, "categories": []}
    (home / "instances.json").write_text(json.dumps(content))
    (home / "detections.json").write_text(json.dumps(boxes))


def write_runs(home: Path) -> None:
    """Finished runs of a recipe of each paper, for `tables.py` alone."""
    recipes = {
        "birefnet/dis5k": ("birefnet", "DIS-TR", "DIS-TE1"),
        "isnet/dis5k": ("isnet", "DIS-TR", "DIS-TE1"),
        "dextr/pascal_sbd": ("dextr", "VOC-train", "VOC-val"),
        "inspyrenet/swinb_duts": ("inspyrenet_swinb", "DUTS-TR", "DUTS-TE"),
        "iog/pascal_sbd": ("iog", "VOC-train", "VOC-val"),
        "u2net/u2net": ("u2net", "DUTS-TR", "DUTS-TE"),
    }
    for name, (model, trained, tested) in recipes.items():
        table = {tested: {"mae": 0.5, "max_f": 0.25}}
        write_run(
            home / "logs" / name / "1", table, name=name, model=model, train=[trained], val=[]
        )
    write_run(home / "more" / "1", {"ECSSD": {"mae": 0.5}}, name="more", model="u2netp")


def composed(config: str, words: list[str]) -> DictConfig:
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose(config, quote_overrides([w for w in words if "hydra." not in w]))


def small_data_and_network(words: list[str], home: Path) -> list[str]:
    """Writes miniatures of the sets that a command names; what makes it fit to them."""
    config = words[2] if words[0] == "-m" else Path(words[0]).stem
    if config == "evaluate":
        config = str(config_of(config, words))
    settings = [word for word in words if "=" in word]
    cfg = composed(config, settings)
    added: list[str] = []
    for group in ("data", "base"):
        if cfg.get(group) is not None:
            added += small_sets(cfg, group, home)
    model = str(cfg.model.get("name"))
    if config == "train":
        added += next((small for name, small in SMALL.items() if model.startswith(name)), [])
        if "pretrained" in cfg.model.network:
            added.append("model.network.pretrained=false")
    return added


def small_sets(cfg: DictConfig, group: str, home: Path) -> list[str]:
    data = cfg[group]
    root = home / str(data.root or ".")
    if "train" not in data or not isinstance(data.train, DictConfig):
        return []
    if "PascalInstances" in str(data.train.get("_target_")):
        write_pascal(root)
        return []
    if "folder" in data.train:
        write_objects(root / Path(data.train.folder.images).parent)
        return []
    if "images" in data.train:  # data=folder, on photos and cutouts or on a folder of both
        if cfg[group].root != ".":
            write_set(root / "images", root / "masks", 8)
        return []
    added: list[str] = []
    for split in ("train", "val", "test"):
        if not OmegaConf.is_interpolation(data, split):
            for name, source in (data[split] or {}).items():
                seed = COUNT * len(added)  # no image is in two sets
                write_set(root / source.images[0], root / source.masks[0], COUNT, seed)
                added.append(f"{group}.{split}.{name}.count={COUNT}")
    return added
