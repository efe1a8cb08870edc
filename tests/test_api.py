"""What `from src import …` offers: light to import, documented, and as the commands compute it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from PIL import Image

import src
from src import InteractiveSegmenter, Run, load, score, score_folder, train
from src.errors import CommandError, UserError
from src.metrics import DEFAULT_METRICS
from src.training import provenance
from src.weights.loading import create, to_official

from .documented import blocks
from .running import ROOT, TINY, folder_data, last_weights, weights, write_pairs

QUICK = [*TINY, "model.epochs=1", "trainer.limit_train_batches=2"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        yield
    GlobalHydra.instance().clear()


def random_iog(path: Path) -> Path:
    """A random IOG with the smallest backbone, as a checkpoint of ours."""
    said = {
        "model": "iog",
        "network": {"_target_": "src.networks.iog.IOG", "backbone": "resnet18"},
        "processor": {"size": [64, 64], "scale": "none", "mean": [0, 0, 0], "std": [1, 1, 1]},
        "inputs": ["image", "prompt"],
    }
    network = create("iog", backbone="resnet18")
    torch.save({"state_dict": to_official(network), "finecut": said}, path)
    return path


def test_importing_it_imports_no_torch() -> None:
    program = """
import sys, src
assert sorted(src.__all__) == src.__all__ and set(src.__all__) <= set(dir(src)), src.__all__
src.score, src.score_folder
loaded = {"torch", "lightning", "hydra", "timm"} & set(sys.modules)
assert not loaded, loaded
print(src.__version__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == src.__version__


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(src, name) for name in src.__all__)
    with pytest.raises(AttributeError, match="segment"):
        src.segment  # noqa: B018


@pytest.mark.slow
def test_the_page_can_be_carried_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "test"):
        write_pairs(tmp_path / "sets" / part, 4)
    write_pairs(tmp_path, 3)
    (tmp_path / "images").rename(tmp_path / "predictions")
    for path in (tmp_path / "predictions").iterdir():  # maps have one channel
        Image.open(path).convert("L").save(path)
    Image.open(tmp_path / "sets/test/images/picture0.png").save(tmp_path / "photo.jpg")
    random_iog(tmp_path / "iog.ckpt")
    (block,) = blocks(ROOT / "docs/reference.md", "python")
    quick = [*QUICK, *folder_data(tmp_path / "sets")]
    exec(block.replace('"data.root=sets"', ", ".join(map(repr, quick))), {})
    printed = capsys.readouterr().out
    assert "best.ckpt" in printed
    assert "s_measure" in printed
    assert "max_f" in printed


@pytest.mark.slow
def test_two_runs_in_one_process_are_equal_and_leave_it_as_it_was(root: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    words = [*QUICK, *folder_data(root)]
    first, second = train(words), train(words)
    assert first.folder != second.folder
    assert first.results == second.results
    assert "mae" in first.results["test"]
    assert first.checkpoint is not None
    assert second.checkpoint is not None
    ours, theirs = weights(first.checkpoint), weights(second.checkpoint)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert first.config.model.name == "u2netp"
    assert Run.read(first.folder).results == first.results
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.slow
def test_a_run_within_a_program_of_hydra_and_on_its_continuation(root: Path) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        cfg = compose("predict", ["weights=a", "input=b"], return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)  # as in a task of Hydra's
        try:
            run = train([*QUICK, *folder_data(root), "test=false"])
        finally:
            HydraConfig.instance().cfg = None
        assert GlobalHydra.instance().is_initialized(), "the program's own Hydra is still there"
    assert run.folder.parent.name == "u2netp-folder"
    assert run.results == {}
    more = train([f"resume={run.folder}", "trainer.max_epochs=2"])
    assert more.folder == run.folder
    assert more.config.trainer.max_epochs == 2


def test_a_thread_may_train(root: Path) -> None:
    words, runs = [*QUICK, *folder_data(root), "test=false"], []
    thread = threading.Thread(target=lambda: runs.append(train(words)))
    thread.start()
    thread.join()
    assert runs[0].checkpoint.is_file()
    assert provenance.read(runs[0].folder)["finished"] is True  # nothing else was asked for


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.devices=4", "trainer.accelerator=cpu"], "one process.*are 4.*finecut train"),
        (["trainer.num_nodes=2"], "one process.*are 2"),
        (["-m", "seed=1,2"], "finecut train -m seed=1,2"),
        (["seed=1,2"], "finecut train -m seed=1,2"),
        (["model=unknown"], "unknown"),
        (["model.sise=3"], "sise"),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_starts(
    words: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=message):
        train(words)
    assert not list(tmp_path.rglob("config.yaml"))


def test_clicks_without_a_segmenter(tmp_path: Path) -> None:
    segmenter = InteractiveSegmenter.load(random_iog(tmp_path / "iog.ckpt"), "cpu")
    assert segmenter.clicks == "inside_outside"
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    with pytest.raises(UserError, match="set_image"):
        segmenter.predict(box=(20, 10, 50, 40))
    segmenter.set_image(image)
    mask = segmenter.predict(points=[(30, 20)], box=(20, 10, 50, 40))
    whole = load(tmp_path / "iog.ckpt", "cpu")
    whole.set_image(image)
    assert np.array_equal(mask, whole.predict(points=[(30, 20)], box=(20, 10, 50, 40)))
    assert (mask.shape, mask.dtype) == ((60, 80), np.uint8)


def test_a_model_without_clicks_is_no_interactive_one(tmp_path: Path) -> None:
    torch.save(to_official(create("u2netp")), tmp_path / "u2netp.pth")
    with pytest.raises(UserError, match=r"u2netp works without clicks: use src\.load"):
        InteractiveSegmenter.load(tmp_path / "u2netp.pth", "cpu")


def test_scores_of_arrays_and_folders_agree(tmp_path: Path) -> None:
    write_pairs(tmp_path / "truth", 1)
    target = tmp_path / "truth/masks"
    (mask_file,) = target.iterdir()
    mask = np.asarray(Image.open(mask_file))
    prediction = np.roll(mask, 2, axis=1)
    (tmp_path / "maps").mkdir()
    Image.fromarray(prediction).save(tmp_path / "maps" / mask_file.name)
    names = ["mae", "max_f", "s_measure", "biou"]
    found = score(prediction, mask, metrics=names)
    assert list(found) == names
    (of_folder,) = score_folder(tmp_path / "maps", target, metrics=names).values()
    assert of_folder == pytest.approx(found)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == [
        "maps", "truth",
    ]  # fmt: skip
    score_folder(tmp_path / "maps", target, tmp_path / "scores", names)
    assert (tmp_path / "scores/per_image.csv").is_file()
    (tmp_path / "maps" / mask_file.name).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 faults, nothing was scored:\n.*picture0"):
        score_folder(tmp_path / "maps", target, metrics=names)


@pytest.mark.parametrize(
    ("spoil", "error"), [(lambda a: a.astype(float), TypeError), (lambda a: a[:3], ValueError)]
)
def test_arrays_that_are_no_pair_are_refused(
    spoil: Callable[[np.ndarray], np.ndarray], error: type[Exception]
) -> None:
    mask = np.zeros((8, 8), np.uint8)
    with pytest.raises(error):
        score(spoil(mask), mask, metrics=["mae"])


def test_the_default_metrics_are_the_commands() -> None:
    listed = yaml.safe_load((ROOT / "conf/metrics/all.yaml").read_text())["test"]
    assert list(DEFAULT_METRICS) == listed


@pytest.mark.slow
def test_a_run_that_had_ended_goes_on_like_one_that_never_ended() -> None:
    """Lightning would begin with an empty epoch, which the longer run then lacks."""
    few = ["model.steps=100", "trainer.limit_train_batches=2", "data.lengths.val=2"]
    words = [*TINY, *few, "test=false"]
    whole = train([*words, "model.epochs=3"])
    short = train([*words, "model.epochs=1"])
    longer = train([f"resume={short.folder}", "model.epochs=3"])
    ours, theirs = last_weights(longer.folder), last_weights(whole.folder)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    steps = [
        [line.split(",")[:2] for line in (run.folder / "metrics.csv").read_text().splitlines()]
        for run in (longer, whole)
    ]
    assert steps[0] == steps[1]
