"""A model's folder is what Hugging Face's tools expect, and is read back as it was written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open

from src import load
from src.errors import UserError
from src.export.share import ShareRequest, share
from src.hashing import file_hash
from src.metrics import describe, score_pair
from src.results.write import SetResults, write_results_folder
from src.weights.checkpoint import read_outline
from src.weights.licenses import LicenseError, require_commercial
from src.weights.loading import create
from src.weights.model_folder import CARD, CONFIG, PREPROCESSOR, WEIGHTS
from tests.conftest import RunCommand
from tests.inference.tiny import red_on_blue

SIZE = 32


def write_results(folder: Path, values: dict[str, float], sha256: str, **further: Any) -> Path:
    """The scores of three images of DUTS-TE by the checkpoint with that hash."""
    folder.mkdir(exist_ok=True)
    image = score_pair(np.eye(4, dtype=np.uint8), 255 * np.eye(4, dtype=np.uint8), list(values))
    scored = {"DUTS-TE": SetResults(values, ["a", "b", "c"], [image] * 3)}
    write_results_folder(
        *(folder, scored),
        kind="checkpoint",
        method="mine",
        protocol={name: describe(name) for name in values},
        checkpoint={"path": "mine.pth", "sha256": sha256, "weights": None},
        **further,
    )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(create("u2netp").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint: Path) -> Path:
    request = ShareRequest(
        str(checkpoint), checkpoint.with_name("shared"), "u2netp", SIZE, license="MIT"
    )
    return share(request)


def mask(weights: Path, **arguments: Any) -> np.ndarray:
    return load(weights, "cpu", **arguments).mask(red_on_blue()[0])


def test_what_is_written_is_read_by_its_folder_or_its_file(checkpoint: Path, folder: Path) -> None:
    expected = mask(checkpoint, model="u2netp", size=SIZE)
    assert expected.std() > 1
    assert np.array_equal(mask(folder), expected)
    assert np.array_equal(mask(folder / WEIGHTS), expected)
    outline = read_outline(folder)
    assert outline.metadata is not None
    assert outline.metadata.model == "u2netp"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        (CARD, CONFIG, PREPROCESSOR, WEIGHTS)
    )


def test_what_others_tools_look_for(checkpoint: Path, folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    assert config["architectures"] == ["U2Net"]
    assert config["finecut"]["network"] == {"_target_": "src.networks.u2net.U2Net", "small": True}
    assert config["source"] == {"file": "mine.pth", "sha256": file_hash(checkpoint)}
    with safe_open(folder / WEIGHTS, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "encoder.0.stem.0.weight" in file.keys()  # noqa: SIM118 - no mapping
    preprocessor = json.loads((folder / PREPROCESSOR).read_text())
    assert preprocessor["size"] == {"height": SIZE, "width": SIZE}
    assert preprocessor["image_mean"] == [0.485, 0.456, 0.406]
    card = ModelCard.load(folder / CARD)
    assert card.data.license == "mit"
    assert card.data.library_name == "finecut"
    assert card.data.pipeline_tag == "image-segmentation"
    assert card.data.datasets is None
    assert "Not stated." in card.text


def test_scores_and_their_protocol_are_on_the_card(
    checkpoint: Path, tmp_path: Path, root: Path
) -> None:
    scored = write_results(tmp_path / "scored", {"mae": 0.0443}, sha256=file_hash(checkpoint))
    folder = share(
        ShareRequest(
            *(str(checkpoint), tmp_path / "net", "u2netp", SIZE),
            scores=[scored],
            verify_on=f"data=folder data.root={root / 'test'} metrics.test=[iou]",
        )
    )
    card = ModelCard.load(folder / CARD)
    assert card.data.license == "unknown"
    assert card.data.eval_results is not None
    found = {(one.dataset_name, one.metric_type) for one in card.data.eval_results}
    assert found == {("DUTS-TE", "mae"), ("test", "iou")}
    assert "| DUTS-TE | 3 | mae | 0.0443 |" in card.text
    assert "| test | 7 | iou |" in card.text
    assert "- `mae`: mae/1: " in card.text
    other = write_results(tmp_path / "other", {"mae": 0.1}, sha256="0" * 64)
    with pytest.raises(UserError, match=r"scores=.*other are of other weights"):
        share(ShareRequest(str(checkpoint), tmp_path / "x", "u2netp", SIZE, scores=[other]))
    assert not (tmp_path / "x").exists()


def test_a_runs_checkpoint_brings_its_test_and_its_training_sets(
    checkpoint: Path, tmp_path: Path
) -> None:
    said = {
        "model": "u2netp",
        "network": {"_target_": "src.networks.u2net.U2Net", "small": True},
        "processor": {"size": [SIZE, SIZE]},
        "inputs": ["image"],
    }
    path = tmp_path / "run/checkpoints/best.ckpt"
    path.parent.mkdir(parents=True)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({"state_dict": state, "finecut": said}, path)
    write_results(
        *(tmp_path / "run", {"mae": 0.05}),
        sha256=file_hash(path),
        data={"train": {"sets": ["DUTS-TR", "mine"]}},
    )
    folder = share(ShareRequest(str(path), tmp_path / "net", license="CC-BY-NC-4.0"))
    card = ModelCard.load(folder / CARD)
    assert card.data.datasets == ["DUTS-TR", "mine"]
    assert card.data.license == "cc-by-nc-4.0"
    assert "| DUTS-TE | 3 | mae | 0.0500 |" in card.text
    assert "| mine | not known here |" in card.text
    with pytest.raises(LicenseError, match="trained on DUTS"):
        require_commercial(folder)
    again = share(ShareRequest(str(folder), tmp_path / "again"))
    assert ModelCard.load(again / CARD).data.datasets == ["DUTS-TR", "mine"]


def test_a_folder_with_other_files_is_left_alone_and_a_models_is_replaced(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds other files \(thesis.tex\); name a folder"):
        share(ShareRequest(str(checkpoint), tmp_path, "u2netp"))
    with pytest.raises(UserError, match="is a file; format=safetensors writes a folder"):
        share(ShareRequest(str(checkpoint), tmp_path / "thesis.tex", "u2netp"))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / ".gitattributes").write_text("*.safetensors filter=lfs")
    share(ShareRequest(str(checkpoint), copy, "u2netp", 64))
    assert json.loads((copy / CONFIG).read_text())["finecut"]["processor"]["size"] == [64, 64]
    assert (copy / ".gitattributes").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "copy"}


def changed(**said: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        config["finecut"].update(said)
        (folder / CONFIG).write_text(json.dumps(config))

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda f: (f / CONFIG).unlink(), "which model it is: no config.json of finecut lies"),
        (lambda f: (f / CONFIG).write_text('{"a": 1}'), "no config.json of finecut lies beside it"),
        (lambda f: (f / CONFIG).write_text("{"), "config.json is damaged"),
        (lambda f: (f / WEIGHTS).unlink(), "has no model.safetensors beside its config.json"),
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:9999]), "is damaged"),
        (changed(network={"_target_": "os.system"}), "config.json wants to build os.system"),
        (changed(network={"_target_": "src.networks.isnet.ISNet"}), "does not fit ISNet: "),
        (
            changed(network={"_target_": "src.networks.u2net.U2Net", "small": False}),
            "of another shape",
        ),
        (changed(processor={"size": [0, 3]}), r"model.size is \[0, 3\]"),
        (changed(processor={"size": "${oc.env:HOME}"}), "no references to resolve"),
    ],
)
def test_folders_that_are_no_model_are_refused_in_a_line(
    folder: Path, tmp_path: Path, edit: Callable[[Path], object], reason: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    edit(copy)
    with pytest.raises(UserError, match=reason) as caught:
        load(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_safetensors_of_others_are_weights_too(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "u2netp.safetensors"
    shutil.copy(folder / WEIGHTS, path)
    expected = mask(folder)
    assert np.array_equal(mask(path, size=SIZE), expected)  # known by its name, as a .pth is
    other = path.rename(tmp_path / "other.safetensors")
    assert np.array_equal(mask(other, model="u2netp", size=SIZE), expected)


def test_the_command(run_command: RunCommand, checkpoint: Path) -> None:
    words = [f"weights={checkpoint}", "model=u2netp", "size=32", "format=safetensors"]
    said = run_command("export.py", *words, "output=models/net")
    assert "models/net: read it by weights=models/net" in said
    assert "is for programs" in run_command("export.py", *words, "bare=true", code=2)
    said = run_command("export.py", *words[:3], "scores=x", code=2)
    assert "scores= is for the card of format=safetensors" in said
