"""A checkpoint's own model takes the place of the command's, and nothing is trained."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from src.datamodules.clicks import InsideOutsidePoints, to_dict
from src.errors import UserError
from src.processing import Processor
from src.training.config import register
from src.training.evaluate_checkpoint import as_test_run
from src.weights.loading import create
from tests.running import ROOT


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Each test leaves Hydra without a running program."""
    yield
    HydraConfig.instance().cfg = None


def command(*overrides: str) -> DictConfig:
    """What `evaluate.py` hands over when it is called with these words."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        cfg = compose("evaluate_checkpoint", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def checkpoint(folder: Path, **said: Any) -> Path:
    """Of a u2netp of another size, unless it says otherwise."""
    identity = {
        "model": "u2netp",
        "network": {"_target_": "src.networks.u2net.U2Net", "small": True},
        "processor": {"size": [48, 48], "scale": "per_image_max"},
        "inputs": ["image"],
        **said,
    }
    path = folder / "best.ckpt"
    torch.save({"state_dict": create("u2netp").state_dict(), "finecut": identity}, path)
    return path


def plain(node: Any) -> Any:
    return OmegaConf.to_container(node)


def test_what_to_score_and_on_what_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ground_truth=FOLDER, or weights=FILE data=NAME"):
        as_test_run(command())
    with pytest.raises(UserError, match="needs a data set to be scored on"):
        as_test_run(command(f"weights={checkpoint(tmp_path)}"))
    with pytest.raises(UserError, match="no such checkpoint file"):
        as_test_run(command("weights=nowhere.ckpt", "data=synthetic"))


@pytest.mark.parametrize("word", ["data=synthetic", "data.seed=1"])
def test_a_data_set_is_chosen_by_its_name_or_one_of_its_keys(tmp_path: Path, word: str) -> None:
    cfg = as_test_run(command(f"weights={checkpoint(tmp_path)}", word))
    assert cfg.fit is False


def test_a_checkpoint_of_ours_brings_its_model(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    given = command(f"weights={path}", "data=synthetic", "model=isnet")
    cfg = as_test_run(given)
    assert cfg.weights == str(path)
    assert cfg.model.name == "u2netp"
    assert plain(cfg.model.network) == {"_target_": "src.networks.u2net.U2Net", "small": True}
    assert plain(cfg.model.processor) == {
        **json.loads(json.dumps(Processor((48, 48), scale="per_image_max").to_dict())),
        "_target_": "src.processing.Processor",
    }
    assert plain(cfg.model.losses) == {}
    assert cfg.model.teacher is None
    assert given.model.name == "isnet"


def test_a_model_that_conf_does_not_know_keeps_the_commands_settings(tmp_path: Path) -> None:
    cfg = as_test_run(command(f"weights={checkpoint(tmp_path, model='own')}", "data=synthetic"))
    assert cfg.model.name == "own"
    assert cfg.model.module == command("data=synthetic").model.module


def test_a_file_under_its_authors_names_leaves_the_model_to_the_command(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"weight": torch.ones(1)}, path)
    cfg = as_test_run(command(f"weights={path}", "data=synthetic", "model=u2net"))
    assert (cfg.weights, cfg.fit) == (str(path), False)
    assert cfg.model.name == "u2net"


def test_paths_do_not_hang_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(tmp_path)
    monkeypatch.chdir(tmp_path)
    cfg = as_test_run(command("weights=best.ckpt", "data=synthetic"))
    assert cfg.weights == str(tmp_path / "best.ckpt")


GUIDED = {"model": "iog", "inputs": ["image", "prompt"], "prompts": to_dict(InsideOutsidePoints(7))}


def test_guided_models_are_measured_as_their_papers_do(tmp_path: Path) -> None:
    cfg = as_test_run(
        command(f"weights={checkpoint(tmp_path, **GUIDED)}", "data=synthetic_objects")
    )
    assert cfg.metrics.test == cfg.model.test_metrics
    assert "iou" in cfg.metrics.test
    assert plain(cfg.model.prompts) == {
        "_target_": "src.datamodules.clicks.prompts_of",
        **to_dict(InsideOutsidePoints(7)),
    }


def test_measures_that_were_chosen_stay(tmp_path: Path) -> None:
    words = [f"weights={checkpoint(tmp_path, **GUIDED)}", "data=synthetic_objects"]
    cfg = as_test_run(command(*words, "metrics.test=[mae]"))
    assert plain(cfg.metrics.test) == ["mae"]
    cfg = as_test_run(command(*words, "metrics.clicks=20"))
    assert cfg.metrics.test == cfg.model.test_metrics  # asking for clicks chooses no metrics


def test_a_folder_without_a_test_set_is_tested_whole(tmp_path: Path) -> None:
    root = tmp_path / "my photos"
    cfg = as_test_run(
        command(f"weights={checkpoint(tmp_path)}", "data=folder", f"data.root='{root}'")
    )
    assert plain(cfg.data.test)["my photos"] | {"count": 3} == {
        "images": "images",
        "masks": "masks",
        "mask_suffix": None,
        "count": 3,
    }
    assert cfg.data.train is None
    assert cfg.data.val is None


def test_validation_images_of_a_folder_are_tested_too(tmp_path: Path) -> None:
    words = ["data.val.images=v", "data.val.masks=w", f"data.root={tmp_path}/SET"]
    cfg = as_test_run(command(f"weights={checkpoint(tmp_path)}", "data=folder", *words))
    assert {name: node["images"] for name, node in plain(cfg.data.test).items()} == {
        "SET": "images",
        "SET-val": "v",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["data=folder", "data.test.images=i", "data.test.masks=m"],
        ["data=dis5k"],
        ["data=objects"],
        ["data=synthetic"],
    ],
)
def test_what_names_its_test_sets_keeps_them(tmp_path: Path, words: list[str]) -> None:
    given = command(f"weights={checkpoint(tmp_path)}", *words)
    found = as_test_run(given).data
    for key in found:
        assert OmegaConf.to_yaml({"x": found._get_node(key)}) == OmegaConf.to_yaml(
            {"x": given.data._get_node(key)}
        )


@pytest.mark.parametrize(
    ("engine", "added"), [("openvino", True), ("torch", False), ("null", False)]
)
def test_an_engine_is_a_callback_of_the_test(tmp_path: Path, engine: str, added: bool) -> None:
    cfg = as_test_run(command(f"weights={checkpoint(tmp_path)}", "data.seed=1", f"engine={engine}"))
    assert ("engine" in cfg.callbacks) is added
    assert "engine" not in cfg
    if added:
        assert cfg.callbacks.engine.engine == engine
