"""`memory=auto` chooses the best that fits, by measured steps, and keeps what was chosen."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from src import processes
from src.errors import UserError
from src.settings.training import parse_training
from src.training import config, memory, teacher
from src.training.memory import GIB, Device, Peaks, Request, apply, carry_over, choose, settle

CARD = Device("a card", 0, 10 * GIB, bf16=True)


def run_config(**memory_settings: Any) -> DictConfig:
    """Of a run of eight images a step, all at once."""
    return OmegaConf.create(
        {
            "fit": True,
            "dry_run": False,
            "activation_checkpointing": False,
            "model": {"name": "m"},
            "data": {"batch_size": 8, "num_workers": 0},
            "trainer": {
                "accelerator": "cpu",
                "devices": 1,
                "accumulate_grad_batches": 1,
                "precision": "32-true",
            },
            "memory": {"limit_gb": None, "typed": [], "chosen": None, **memory_settings},
        }
    )


class Steps:
    """Answers like a card on which an image keeps so much, and notes what it was asked."""

    def __init__(self, fixed: float, image: float, twice: float = 0.5, bend: float = 0) -> None:
        self.fixed, self.image, self.twice, self.bend = fixed, image, twice, bend
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Peaks:
        self.asked.append(request)
        share = self.twice if request.activation_checkpointing else 1
        peaks: Peaks = {}
        for batch in request.batches:
            extra = self.bend if batch > 2 else 0  # which two small batches do not tell
            peak = int((self.fixed + extra + batch * self.image * share) * GIB)
            peaks[batch] = peak if peak <= request.limit else None
        return peaks


@pytest.mark.parametrize(
    ("image", "at_once", "twice"),
    [(1, 8, False), (2, 4, False), (4, 2, False), (8, 1, False), (12, 1, True)],
)
def test_the_most_images_that_fit_are_chosen_and_the_step_stays(
    image: float, at_once: int, twice: bool
) -> None:
    choice = choose(run_config(), Path(), CARD, Steps(1, image))
    assert (choice.batch_size, choice.activation_checkpointing) == (at_once, twice)
    assert choice.batch_size * choice.accumulate_grad_batches == 8
    assert choice.precision == "bf16-mixed"
    assert choice.measured_gb == choice.predicted_gb <= choice.limit_gb == 10


def test_small_batches_tell_which_larger_one_to_measure() -> None:
    steps = Steps(1, 2)
    choose(run_config(), Path(), CARD, steps)
    assert [one.batches for one in steps.asked] == [[1, 2], [4]]


def test_a_prediction_that_a_step_refutes_is_not_chosen() -> None:
    choice = choose(run_config(), Path(), CARD, Steps(1, 2, bend=2))
    assert choice.batch_size == 2
    choice = choose(run_config(), Path(), CARD, Steps(1, 1, bend=3))
    assert (choice.batch_size, choice.predicted_gb, choice.measured_gb) == (4, 5, 8)


def test_batches_divide_the_images_of_a_step() -> None:
    cfg = run_config()
    cfg.data.batch_size, cfg.trainer.accumulate_grad_batches = 3, 2
    choice = choose(cfg, Path(), CARD, Steps(1, 1.7))
    assert (choice.batch_size, choice.accumulate_grad_batches) == (3, 2)


def test_what_the_command_sets_stays() -> None:
    typed = ["data.batch_size", "trainer.precision", "activation_checkpointing"]
    cfg = run_config(typed=typed)
    cfg.data.batch_size, cfg.trainer.accumulate_grad_batches = 2, 4
    choice = choose(cfg, Path(), CARD, Steps(1, 4))
    assert (choice.batch_size, choice.accumulate_grad_batches) == (2, 4)
    assert (choice.precision, choice.activation_checkpointing) == ("32-true", False)
    with pytest.raises(UserError, match=r"leave out data.batch_size.*activation_checkpointing"):
        choose(cfg, Path(), CARD, Steps(1, 5))


def test_bf16_is_chosen_only_where_the_device_has_it() -> None:
    without = Device("an old card", 0, 10 * GIB, bf16=False)
    assert choose(run_config(), Path(), without, Steps(1, 1)).precision == "32-true"
    cfg = run_config()
    cfg.trainer.precision = "16-mixed"  # the recipe's own
    assert choose(cfg, Path(), CARD, Steps(1, 1)).precision == "16-mixed"


def test_where_nothing_fits_one_line_says_what_a_single_image_takes() -> None:
    with pytest.raises(UserError) as caught:
        choose(run_config(limit_gb=4.0), Path(), CARD, Steps(3.5, 2))
    assert "\n" not in str(caught.value)
    assert "a single image in bf16-mixed with activation_checkpointing=true takes" in str(
        caught.value
    )
    assert "4.00 GiB are there (a card): train at a smaller model.size" in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run that asks for a choice."""
    monkeypatch.setattr(memory, "_device", lambda cfg: CARD)
    config.save_config(run_config(), tmp_path)
    return tmp_path


def test_the_choice_is_made_once_and_saved(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    steps = Steps(1, 2)
    with caplog.at_level(logging.INFO):
        settle(folder, steps)
    (line,) = caplog.messages
    assert line == (
        "memory=auto: 4 images × 2 summed to a step, bf16-mixed, activations kept: 9.00 GiB"
        " predicted, 9.00 measured, 10.00 allowed (a card); BatchNorm sees 4 images at once"
        " instead of 8"
    )
    saved = config.load_config(folder)
    assert (saved.data.batch_size, saved.trainer.accumulate_grad_batches) == (4, 2)
    assert saved.memory.chosen.measured_gb == 9
    assert json.loads((folder / "provenance.json").read_text())["memory"]["batch_size"] == 4
    asked = len(steps.asked)
    settle(folder, steps)  # a resumed run, or one that is requeued
    assert len(steps.asked) == asked


def test_a_job_that_is_started_again_keeps_its_choice(folder: Path) -> None:
    settle(folder, Steps(1, 2))
    saved = config.load_config(folder, located=False)
    assert carry_over(run_config(), folder) == saved
    other = run_config(limit_gb=3.0)  # another request
    assert carry_over(other, folder) == other


def test_other_ranks_wait_for_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        cfg = config.load_config(folder, located=False)
        choice = choose(cfg, folder, CARD, Steps(1, 2))
        apply(cfg, choice.model_dump())
        config.save_config(cfg, folder)

    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setattr(memory.time, "sleep", sleep)
    unasked = Steps(1, 2)
    settle(folder, unasked)
    assert len(naps) == 1
    assert not unasked.asked


def test_a_test_alone_measures_nothing(folder: Path) -> None:
    cfg = config.load_config(folder, located=False)
    cfg.fit = False
    config.save_config(cfg, folder)
    steps = Steps(1, 2)
    settle(folder, steps)
    assert not steps.asked


def test_what_was_measured_changes_no_hash_but_what_was_asked_does() -> None:
    cfg = run_config()
    apply(cfg, choose(cfg, Path(), CARD, Steps(1, 2)).model_dump())
    again = cfg.copy()
    again.memory.chosen.measured_gb = 8.9
    assert config.config_hash(cfg) == config.config_hash(again)
    assert config.config_hash(run_config()) != config.config_hash(run_config(limit_gb=3.0))


def test_the_smallest_card_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [[30 * GIB, "large", True], [20 * GIB, "small", False]]

    def answer(command: list[str], **_: Any) -> Any:
        assert command[3:] == ["0", "1"]
        return memory.subprocess.CompletedProcess(command, 0, json.dumps(found), "")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(memory.subprocess, "run", answer)
    cfg = run_config()
    cfg.trainer.accelerator, cfg.trainer.devices = "gpu", 2
    device = memory._device(cfg)
    assert (device.name, device.index, device.bf16) == ("small", 1, False)
    assert device.free == int(18 * GIB)


def test_processes_on_one_cpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10 * GIB)
    cfg = run_config()
    assert memory._device(cfg).free == 9 * GIB
    cfg.trainer.devices, cfg.data.num_workers = 2, 4
    assert memory._device(cfg).free == 4 * GIB


def test_a_control_group_leaves_less_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_CGROUPS", tmp_path)
    whole = processes.available_memory()
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1500\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 500\n")
    group = Path("/proc/self/cgroup").read_text()
    if "0::" not in group:
        pytest.skip("no control groups of version 2 here")
    assert processes.available_memory() == 2000 < whole


def test_the_command_line_is_remembered_and_checked(tmp_path: Path) -> None:
    from src.training.run import _composed

    words = ["model=u2netp", "data=synthetic", "memory=auto", "memory.limit_gb=2"]
    config.register()
    cfg, _ = _composed([*words, "trainer.precision=32-true", f"hydra.run.dir={tmp_path}"])
    assert parse_training(cfg).memory.typed == ["trainer.precision"]
    cfg, _ = _composed([*words, "memory.limit_gb=-1", f"hydra.run.dir={tmp_path}"])
    with pytest.raises(UserError, match=r"memory\.limit_gb"):
        parse_training(cfg)


def test_a_teacher_is_trained_with_the_batch_that_was_chosen() -> None:
    recipe = {"name": "t", "batch_size": 8}
    cfg = run_config()
    apply(cfg, choose(cfg, Path(), CARD, Steps(1, 2)).model_dump())
    cfg.model.teacher = {"recipe": recipe, "optimizer": {}}
    cfg = OmegaConf.merge(cfg, {"metrics": {"test": []}, "callbacks": {"results": None}})
    cfg.weights = None
    stage = teacher.stage_one(cfg)  # type: ignore[arg-type]
    assert stage.data.batch_size == 4
    assert "memory" not in stage


@pytest.mark.slow
def test_real_steps_are_measured_and_the_choice_trains(
    root: Path, tmp_path: Path, run_command: Any
) -> None:
    """On this CPU, whose memory two limits divide: one that all fits in, one that nothing does."""
    from tests.running import TINY, folder_data

    command = [*TINY, *folder_data(root), "model.epochs=1", "test=false", "memory=auto"]
    said = run_command("train.py", *command, "memory.limit_gb=0.1", code=1)
    assert "memory=auto: a step of a single image" in said
    assert "0.10 GiB are there" in said
    said = run_command("train.py", *command, "memory.limit_gb=6")
    assert "memory=auto: 2 images a step" in said
    folder = sorted((tmp_path / "logs").glob("*/*/checkpoints"))[-1].parent
    chosen = config.load_config(folder).memory.chosen
    assert 0.1 < chosen.measured_gb < 6
