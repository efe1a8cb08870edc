"""Whatever is typed for whatever key: a value of the key's type, or one line that names the key."""

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from src.errors import CommandError
from src.settings import commands
from src.settings.parse import parse
from src.settings.training import LauncherSettings, SweepSettings, parse_training
from src.training.config import register
from tests.conftest import RunCommand
from tests.running import ROOT

BAD: list[Any] = [
    float("nan"), float("inf"), -float("inf"), -1, 0, 1.5, 1e30, 10**40, -(10**40), True,
    "", " ", "abc", "**x", "${oc.env:HOME}", "a\nb", "a\0b", "bad\udcff", "|", "../..", None,
    [], ["", 1], [[1]], [None], {}, {"a": 1}, {"_target_": "os.system", "command": "true"},
]  # fmt: skip

SCHEMAS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "predict": (commands.PredictSettings, {"weights": "w", "input": "i"}),
    "evaluate": (commands.EvaluateSettings, {"maps": "m", "ground_truth": "t"}),
    "export": (commands.ExportSettings, {"weights": "w"}),
    "benchmark": (commands.BenchmarkSettings, {"weights": "w"}),
    "annotate": (
        commands.AnnotateSettings,
        {"boxes": "b", "images": "i", "weights": "w", "output": "o"},
    ),
    "app": (commands.AppSettings, {"weights": "w"}),
    "tables": (commands.TablesSettings, {}),
    "reproduce": (commands.ReproduceSettings, {"experiment": "demo"}),
}
EXTRA: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "sweep": (
        SweepSettings,
        {
            **{"trials": 2, "at_once": 1, "study": None, "storage": None, "seed": None},
            "storage_timeout": 600,
        },
    ),
    "launcher": (LauncherSettings, {"jobs": 2, "gpus": 1, "cpus": 2, "minutes": 3}),
    "check": (commands.CheckSettings, {"output": "o", "workers": 1, "seed": 0}),
    "preview": (
        commands.PreviewSettings,
        {
            **{"output": "o", "count": 1, "epoch": 0, "tile": 64, "seed": 0},
            **{"multiscale": None, "backgrounds": {"share": 0, "images": None}},
        },
    ),
}


def sound(command: str) -> dict[str, Any]:
    """A config of a command that parses."""
    if command in EXTRA:
        return dict(EXTRA[command][1])
    schema, given_values = SCHEMAS[command]
    config: Any = OmegaConf.to_container(OmegaConf.load(ROOT / f"conf/{command}.yaml"))
    kept = {key: value for key, value in config.items() if key in schema.model_fields}
    kept.setdefault("model", None) if "model" in schema.model_fields else None
    if command == "evaluate":
        kept["metrics"] = {"test": ["mae"]}
    return {**kept, **given_values}


@pytest.mark.parametrize("command", [*SCHEMAS, *EXTRA])
def test_a_sound_command_parses(command: str) -> None:
    schema = {**SCHEMAS, **EXTRA}[command][0]
    parse(schema, sound(command))


@pytest.mark.parametrize("command", [*SCHEMAS, *EXTRA])
def test_a_bad_value_names_its_key_in_one_line(command: str) -> None:
    schema = {**SCHEMAS, **EXTRA}[command][0]
    base = sound(command)
    parse(schema, base)
    refused = 0
    for key in base:
        for bad in BAD:
            parsed, said = attempt(schema, {**base, key: bad})
            if said:
                refused += 1
                assert key in said, (key, bad, said)
                # A line for each key: of a group, such as data=, each within it is one.
                if key in ("data", "preprocess", "backgrounds") and isinstance(bad, dict):
                    assert all(key in line for line in said.splitlines())
                    continue
                assert len(said.splitlines()) == 1, said
                assert len(said) < 300
            else:
                assert fits(getattr(parsed, key, bad)), (key, bad)
    assert refused > 10 * len(base)


def attempt(schema: type[BaseModel], values: dict[str, Any]) -> tuple[Any, str]:
    """The parsed settings, or why they are none."""
    try:
        return parse(schema, values), ""
    except CommandError as error:
        return None, str(error)


def refusal_of_training(config: DictConfig) -> str:
    try:
        parse_training(config)
    except CommandError as error:
        return str(error)
    return ""


def fits(value: Any) -> bool:
    """Whether an accepted value is one that can be worked with: finite, printable, of its type."""
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    return True


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("command", [*SCHEMAS, *EXTRA])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_value_whatever_gets_past_as_something_else(command: str, data: st.DataObject) -> None:
    schema = {**SCHEMAS, **EXTRA}[command][0]
    base = sound(command)
    key = data.draw(st.sampled_from(sorted(base)))
    junk = data.draw(JUNK)
    parsed, said = attempt(schema, {**base, key: junk})
    assert key in said if said else fits(getattr(parsed, key, junk))


@pytest.fixture(scope="module")
def training() -> DictConfig:
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose("train", ["model=isnet", "data=dis5k", "data.root=x"])


def leaves(config: DictConfig, path: str = "") -> Iterator[str]:
    for key in config:
        name = f"{path}{key}"
        inner = None if OmegaConf.is_missing(config, key) else config._get_node(key)
        if isinstance(inner, DictConfig) and not inner._is_none() and not inner._is_interpolation():
            yield from leaves(inner, f"{name}.")
        else:
            yield name


TYPED = [
    "seed", "val_check_interval", "fit", "test", "dry_run", "compile", "resume",
    "activation_checkpointing", "optimizer.lr", "lr_scheduler", "model.param_groups",
    "model.batch_size", "model.epochs", "model.steps", "model.patience", "model.size",
    "model.stopping_threshold", "model.gradient_clip_val", "model.sync_batchnorm",
    "model.feature_supervision", "model.losses", "model.inputs",
    "data.root", "data.eval_batch_size", "data.drop_last", "data.num_workers", "data.val_fraction",
    "data.val_split", "data.on_error", "data.cache", "data.allow_empty",
    "trainer.devices", "trainer.num_nodes", "trainer.accumulate_grad_batches",
    "trainer.max_epochs", "trainer.max_steps", "trainer.log_every_n_steps", "trainer.accelerator",
    "trainer._target_", "metrics.workers", "metrics.test", "objective", "name",
]  # fmt: skip


@pytest.mark.parametrize("bad", [float("nan"), -7, 1e30, "abc", "a\0b", [[1]], {"a": 1}])
def test_a_bad_value_for_training_names_its_key(training: DictConfig, bad: Any) -> None:
    refused = 0
    for key in TYPED:
        config = training.copy()
        OmegaConf.set_struct(config, False)
        OmegaConf.update(config, key, bad, merge=False)
        said = refusal_of_training(config)
        refused += bool(said)
        assert not said or key.split(".")[-1] in said, (key, bad, said)
    assert refused > len(TYPED) // 2


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["predict.py", "weights=w", "input=i", "batch_size=-1"], "batch_size"),
        (["predict.py", "weights=w", "input=i", "device=meta"], "device"),
        (["predict.py", "weights=w", "input=[]"], "input"),
        (["predict.py", "weights=w", "input="], "input"),
        (["train.py", "**x"], "**x"),
        (["evaluate.py", "maps=m", "truth=t", "allow_missing=maybe"], "allow_missing"),
        (["evaluate.py", "maps=m", "truth=t", "worst=-1"], "worst"),
        (["evaluate.py", "maps=m", "truth=t", "workers=0"], "workers"),
        (["evaluate.py", "maps=m", "truth=t", "weights=c"], "weights"),
        (["evaluate.py", "weights=c", "compare=x", "data=synthetic"], "compare"),
        (["evaluate.py"], "maps"),
        (["train.py", "model.epochs=-1"], "model.epochs"),
        (["train.py", "model.steps=0"], "model.steps"),
        (["train.py", "model.patience=abc"], "model.patience"),
        (["train.py", "callbacks.recent.minutes=nan"], "callbacks.recent.minutes"),
        (["train.py", "callbacks.recent.minutes=-1"], "callbacks.recent.minutes"),
        (["train.py", "trainer.accumulate_grad_batches=-1"], "accumulate_grad_batches"),
        (["train.py", "fit=no", "test=off"], "fit"),
        (["train.py", "-m", "sweep=optuna", "sweep.at_once=0", "seed=0,1"], "at_once"),
        (["export.py", "weights=w", "precision=int8"], "calibrate_on"),
        (["export.py", "weights=w", "format=tflite"], "format"),
        (
            ["annotate.py", "boxes=b", "images=i", "weights=w", "output=o", "threshold=2"],
            "threshold",
        ),
        (["app.py", "weights=w", "host="], "host"),
        (["app.py", "weights=w", "port=70000"], "port"),
        (["tables.py", "digits=abc"], "digits"),
        (["-m", "src", "check", "data=dis5k", "data.root=x", "workers=0"], "workers"),
        (["-m", "src", "preview", "data=synthetic", "count=0"], "count"),
        (["-m", "src", "reproduce", "experiment=demo", "at_once=0"], "at_once"),
        (["-m", "src", "check"], "data"),
        (["-m", "src", "preview", "model=isnet"], "data"),
        (["-m", "src", "reproduce"], "experiment"),
    ],
)
def test_a_command_that_is_wrong_is_one_line_and_exit_code_2(
    run_command: RunCommand, words: list[str], key: str
) -> None:
    said = run_command(*words, code=2)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert key in errors[0]
    assert "Traceback" not in said
