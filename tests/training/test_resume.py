"""`resume=RUN key=value`: what may change takes effect and is noted, the rest is refused."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.command_line import quote_overrides
from src.errors import UserError
from src.paths import CONF
from src.results.schema import PROVENANCE
from src.training import cli, config, resume, resume_rules
from src.training.config import config_hash, load_config, save_config
from src.training.data_state import DATA
from src.training.resumable import require_resumable
from tests.conftest import RunCommand
from tests.in_process import finish
from tests.running import ROOT, TINY, folder_data, only_run, write_pairs
from tests.test_configs import composed


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run under way, of twelve images a step; not to be changed."""
    return begun(tmp_path_factory.mktemp("runs") / "run", "name=u2netp-synthetic")


@pytest.fixture
def folder(twelve: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(twelve, tmp_path / "run"))


def begun(folder: Path, *overrides: str) -> Path:
    save_config(composed("model=u2netp", *overrides), folder)
    noted = {"config_hash": config_hash(load_config(folder, located=False))}
    (folder / PROVENANCE).write_text(json.dumps(noted))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").touch()
    return folder


def resumed(folder: Path, *words: str) -> tuple[Any, resume.Changes]:
    given = quote_overrides([f"resume={folder}", *words])
    assert resume.asks(given)
    return resume.amended(resume.read(given))


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("model.epochs=7", "trainer.max_epochs", 7),
        ("trainer.max_epochs=7", "model.epochs", 7),
        ("model.steps=70", "trainer.max_steps", 70),
        ("model.patience=3", "callbacks.early_stopping.patience", 3),
        ("val_check_interval=9", "model.val_check_interval", 9),
        ("val_check_interval=9", "trainer.val_check_interval", 9),
        ("trainer.val_check_interval=0.5", "val_check_interval", 0.5),
        ("trainer.devices=3", "trainer.devices", 3),
        ("data.num_workers=0", "data.num_workers", 0),
        ("callbacks.recent.minutes=0.5", "callbacks.recent.minutes", 0.5),
        ("trainer.precision=bf16-mixed", "trainer.precision", "bf16-mixed"),
        ("trainer.limit_test_batches=2", "trainer.limit_test_batches", 2),
        ("callbacks.progress=null", "callbacks.progress", None),
        ("metrics.test=[mae]", "metrics.test", ["mae"]),
        ("logger=wandb", "logger.wandb.group", "u2netp-synthetic"),
        ("logger=[tensorboard,mlflow]", "logger.mlflow.experiment", "finecut"),
        ("logger.csv=null", "logger.csv", None),
    ],
)
def test_what_may_change_takes_effect(twelve: Path, word: str, key: str, value: object) -> None:
    # Twelve images a step, as before, on three devices.
    given = [word, "data.batch_size=4"] if word.startswith("trainer.devices") else [word]
    found, changes = resumed(twelve, *given)
    assert OmegaConf.select(found, key) == value
    assert changes


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("optimizer.lr=1", "learning rates are the checkpoint's"),
        ("data.batch_size=4", r"a step would be of 4 images .* it is of 12"),
        ("model.batch_size=4", r"a step would be of 4 images .* it is of 12"),
        ("trainer.devices=2", r"a step would be of 24 images \(12 × 1 × 2 × 1\)"),
        ("trainer.accumulate_grad_batches=2", "a step would be of 24 images"),
        ("model.size=64", "fitted to images of that size"),
        ("seed=1", "order of the images"),
        ("data.lengths.train=10", "data that it started with"),
        ("model.network.small=false", "this model's weights"),
        ("model.gradient_clip_val=1", "gradients"),
        ("callbacks.ema.decay=0.9", "averaged weights"),
        ("trainer.limit_train_batches=2", "place in the epoch"),
        ("trainer.precision=bf16-true", "give 32-true, 16-mixed, bf16-mixed"),
        ("weights=x.pth", "checkpoint's by now"),
        ("fit=false", "evaluate.py"),
        ("dry_run=true", "before it starts"),
        ("hydra.run.dir=x", "resume= says which folder"),
        ("model.epochs=0", "a whole number from 1 on"),
        ("model.epochs=abc", "a whole number from 1 on"),
        ("model=isnet", "would change a whole group"),
        ("data=folder", "would change a whole group"),
        ("experiment=isnet/dis5k", "this run has no experiment|cannot change"),
        ("optimzer.lr=1", r"no optimzer\.lr; did you mean optimizer\.lr\?"),
        ("trainer.max_epoch=3", r"no trainer\.max_epoch; did you mean trainer\.max_epochs\?"),
        ("seed=0,1", "means several"),
        ("resume_data=yes", "resume_data=accept"),
        ("logger=comet", "logger=comet"),
    ],
)
def test_what_may_not_change_is_refused_by_name(twelve: Path, word: str, reason: str) -> None:
    before = (twelve / "config.yaml").read_bytes()
    with pytest.raises(UserError, match=reason) as caught:
        resumed(twelve, word)
    assert word.split("=")[0] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (twelve / "config.yaml").read_bytes() == before


def test_a_refusal_says_how_to_start_anew(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        resumed(folder, "optimizer.lr=1", "model.epochs=200", "seed=3")
    best = folder / "checkpoints" / "best.ckpt"
    assert f"weights={best} optimizer.lr=1 seed=3" in str(caught.value)


def test_values_that_stay_are_no_change(folder: Path) -> None:
    assert resumed(folder, "seed=0", "model.batch_size=12", "model.size=320")[1] == {}


def test_two_names_of_one_setting_may_not_differ(folder: Path) -> None:
    with pytest.raises(UserError, match="mean the same"):
        resumed(folder, "model.epochs=3", "trainer.max_epochs=4")


def test_a_schedule_that_cannot_be_stretched_keeps_its_length(tmp_path: Path) -> None:
    plain = begun(tmp_path / "poly", "model=inspyrenet_swinb", "data=synthetic")
    assert resumed(plain, "model.epochs=200")[0].trainer.max_epochs == 200
    scheduler = "lr_scheduler._target_=torch.optim.lr_scheduler.StepLR"
    other = begun(tmp_path / "step", "data=synthetic", scheduler, "+lr_scheduler._partial_=true")
    with pytest.raises(UserError, match=r"its lr_scheduler \(torch.optim.lr_scheduler.StepLR\)"):
        resumed(other, "model.epochs=200")


def test_a_run_with_old_keys_is_answered_with_the_way_on(folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("model:\n", "model:\n  clip_gradient: null\n", 1))
    with pytest.raises(UserError, match=r"^model\.clip_gradient is now .*weights=.*best\.ckpt"):
        resumed(folder)


def test_every_change_is_noted_with_what_was(folder: Path) -> None:
    for epochs in (7, 8):
        asked = resume.read(quote_overrides([f"resume={folder}", f"model.epochs={epochs}"]))
        found, changes = resume.amended(asked)
        cli.save_resumed(found, folder, changes, accept_data=False)
    first, second = json.loads((folder / PROVENANCE).read_text())["resumes"]
    assert first["changed"]["trainer.max_epochs"] == {"from": 10000, "to": 7}
    assert second["changed"]["model.epochs"] == {"from": 7, "to": 8}
    assert first["time"].endswith("Z")
    assert load_config(folder).trainer.max_epochs == 8


def test_an_edited_config_is_noticed(folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 0.003"))
    with pytest.raises(UserError, match=r"config\.yaml is not what this run was started with"):
        resumed(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "\0", '{"resumes": 3}', '{"resumes": [1]}'])
def test_a_damaged_provenance_is_one_line(folder: Path, content: str) -> None:
    (folder / PROVENANCE).write_text(content)
    with pytest.raises(UserError, match=r"provenance\.json is damaged .*remove it") as caught:
        resumed(folder)
    assert "\n" not in str(caught.value)


def test_a_file_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").touch()
    with pytest.raises(UserError, match=r"x\.ckpt is a file: .*weights="):
        resumed(tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="nowhere is no run folder"):
        resumed(tmp_path / "nowhere")


def test_the_documentation_has_every_rule() -> None:
    text = (ROOT / "docs" / "resume.md").read_text()
    for key in (*resume_rules.MAY_CHANGE, *resume_rules.OF_A_STEP):
        assert f"`{key}`" in text, key


# No values but parts of the model, which stays: no run reads them under another name's value.
PARTS = {"data.processor", "callbacks.results.method"}


@pytest.mark.parametrize("data", ["folder", "synthetic", "objects"])
def test_what_conf_takes_from_the_model_is_one_value_under_all_its_names(data: str) -> None:
    """Both a resume and the run of a teacher rely on this table."""
    with initialize_config_dir(str(CONF), version_base=None):
        raw = OmegaConf.to_container(compose("train", [f"data={data}"]), resolve=False)
    assert isinstance(raw, dict)
    taken = {
        key: found[1]
        for key, value in config.flat({k: v for k, v in raw.items() if k != "model"})
        if isinstance(value, str)
        and (found := re.fullmatch(r"\$\{(?:oc\.select:)?(model\.\w+|val_\w+)(?:,\w+)?\}", value))
    }
    assert len(taken) > 12
    same = resume_rules.SAME
    apart = {key for key, name in taken.items() if same.get(key, key) != same.get(name, name)}
    assert apart == PARTS


# A run that was trained for an epoch, to be damaged.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` and `run`, an epoch of a network on it."""
    base = tmp_path_factory.mktemp("trained")
    write_pairs(base / "data" / "train", 4, seed=1)
    write_pairs(base / "data" / "test", 2, seed=2)
    words = [*TINY, *folder_data(base / "data"), "model.epochs=1", "test=false"]
    words += [f"hydra.run.dir={base}/run/a/b", "callbacks.gallery=null"]
    finish(["train.py", *words], base)
    return only_run(base / "run").parents[2]


@pytest.fixture
def again(trained: Path, tmp_path: Path, run_command: RunCommand) -> Callable[..., str]:
    """Resumes a copy of the run, whose data has not moved."""
    if not (tmp_path / "run").exists():
        shutil.copytree(trained / "run", tmp_path / "run")

    def call(*words: str, code: int = 1) -> str:
        said = run_command("train.py", f"resume={tmp_path}/run/a/b", *words, code=code)
        assert "Traceback" not in said
        return said

    return call


def replaced(path: Path) -> Callable[[], object]:
    """Another image of the same size in its place; gives it back."""
    kept = path.read_bytes()
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    return lambda: path.write_bytes(kept)


@pytest.mark.slow
def test_changed_data_is_refused_by_name_and_can_be_accepted(
    trained: Path, tmp_path: Path, again: Callable[..., str]
) -> None:
    images = trained / "data" / "train" / "images"
    back = replaced(images / "picture1.png")
    said = again("model.epochs=2")
    assert "train: 1 file replaced (image of picture1)" in said
    assert "resume_data=accept" in said
    back()
    again("model.epochs=2", code=0)  # touched, but the same: it goes on

    for kind in ("images", "masks"):
        source = trained / "data" / "train" / kind / "picture0.png"
        shutil.copy(source, source.with_name("picture9.png"))
        source.with_name("picture3.png").unlink()
    said = again("model.epochs=3")
    assert "2 files added (image of picture9, mask of picture9)" in said
    assert "2 files removed (image of picture3, mask of picture3)" in said
    run_folder = tmp_path / "run" / "a" / "b"
    before = json.loads((run_folder / PROVENANCE).read_text())["data"]
    again("model.epochs=3", "resume_data=accept", code=0)
    noted = json.loads((run_folder / PROVENANCE).read_text())
    assert noted["resumes"][-1]["data"]["before"] == before
    assert noted["resumes"][-1]["data"]["after"] == noted["data"] != before
    (run_folder / DATA).write_text("{")
    assert "data.json is damaged" in again()
    write_pairs(trained / "data" / "train", 4, seed=1)
    for kind in ("images", "masks"):
        (trained / "data" / "train" / kind / "picture9.png").unlink()


def cut_optimizer(held: dict[str, Any]) -> None:
    held["optimizer_states"] = []


def other_network(held: dict[str, Any]) -> None:
    held["state_dict"].popitem()


def odd_random_state(held: dict[str, Any]) -> None:
    held["random_state"][0]["numpy"] = ("MT19937", [1, 2], 0, 0, 0.0)


def no_loops(held: dict[str, Any]) -> None:
    held["loops"] = {}


def odd_optimizer(held: dict[str, Any]) -> None:
    held["optimizer_states"][0]["param_groups"] = []


def odd_callback(held: dict[str, Any]) -> None:
    for state in held["callbacks"].values():
        state.clear()
        state["odd"] = 1


def other_batch(held: dict[str, Any]) -> None:
    held["images_per_step"] = 8


DAMAGE = {
    cut_optimizer: "holds no state of an optimizer",
    other_network: "of another network than the run's: 1 missing",
    no_loops: "does not hold how far training was",
    other_batch: "made with 8 images a step, now it would be 2",
    odd_callback: "its state cannot be taken up",
    odd_optimizer: "its state cannot be taken up",
    odd_random_state: "its state cannot be taken up (its random state is damaged (NumPy's)",
}


@pytest.mark.slow
def test_a_checkpoint_that_training_cannot_go_on_from_is_one_line(
    tmp_path: Path, again: Callable[..., str]
) -> None:
    (path,) = (tmp_path / "run" / "a" / "b" / "checkpoints").glob("recent-*.ckpt")
    sound = torch.load(path, weights_only=True)
    module = SimpleNamespace(state_dict=lambda: sound["state_dict"])
    trainer: Any = SimpleNamespace(accumulate_grad_batches=1, world_size=1, max_epochs=2)
    require_resumable(path, trainer, module, 2)  # type: ignore[arg-type]
    for damage, message in DAMAGE.items():
        held = copy.deepcopy(sound)
        damage(held)
        torch.save(held, path)
        if "taken up" not in message:
            with pytest.raises(UserError, match=re.escape(message)) as caught:
                require_resumable(path, trainer, module, 2)  # type: ignore[arg-type]
            assert str(caught.value).startswith(str(path))
            assert "\n" not in str(caught.value)
    # Lightning finds the last kind, in a state that only it can read.
    (line,) = [line for line in again("model.epochs=2").splitlines() if "error: " in line]
    assert f"error: {path}: {DAMAGE[odd_random_state]}" in line


def test_a_log_is_looked_at_first_and_patience_counts(
    tmp_path: Path, again: Callable[..., str]
) -> None:
    run_folder = tmp_path / "run" / "a" / "b"
    sound = (run_folder / "metrics.csv").read_text()
    (run_folder / "metrics.csv").write_text(sound + "a,b,c,d,e,f,g,h,i,j,k\n")
    assert "metrics.csv is damaged in line" in again("model.epochs=2")
    (run_folder / "metrics.csv").write_text(sound)
    # In a few steps a network gains nothing: it stops long before the end.
    again("model.epochs=30", "model.patience=1", code=0)
    said = re.search(
        r"is (\d+) epochs far, more than trainer.max_epochs=1", again("model.epochs=1")
    )
    assert said is not None
    assert int(said[1]) < 30
