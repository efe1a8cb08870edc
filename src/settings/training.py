"""The schema of `train.py`'s config: its own keys, and of each group what every choice shares."""

from typing import Annotated, Any, Literal

import yaml
from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, model_validator

from src.command_line import literals
from src.errors import CommandError
from src.paths import CONF
from src.settings.multiscale import MULTIPLE, Multiscale
from src.settings.parse import in_lines, parse, parse_part, plain
from src.settings.schema import (
    Allowed,
    FilePath,
    Flag,
    Name,
    Names,
    OpenSettings,
    Seed,
    Settings,
    Size,
    Text,
    Whole,
    is_finite_everywhere,
    setting,
)

# What validation scores of mattes: all of them are cheap.
_VALIDATED = ("mad", "alpha_mse")
ABSENT: Any = None  # default of keys that only some choices of a group have
_MOST = 10**9  # steps or epochs; more is a slip of the finger


def _parse_devices(value: Any) -> Any:
    listed = value if isinstance(value, list) else str(value).split(",")
    if isinstance(value, bool | float) or value == "auto":
        if value == "auto":
            return value
        raise ValueError("no number of devices")
    if not all(isinstance(one, str | int) for one in listed):
        raise ValueError("no numbers of devices")
    numbers = [int(one) for one in listed]
    smallest = 0 if isinstance(value, list) or len(numbers) > 1 else 1
    if value not in (-1, "-1") and min(numbers) < smallest:
        raise ValueError("no number of devices")
    return value


def _parse_limit(value: Any) -> Any:
    """Lightning's limits: a whole number of batches, or a share of them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no number")
    if value < 0 or (isinstance(value, float) and value > 1):
        raise ValueError("out of range")
    return value


def _check_target(value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("_target_"), str):
        raise ValueError("no _target_")
    return value


Limit = Annotated[
    Any, BeforeValidator(_parse_limit), Allowed("a whole number from 0, or a share to 1.0")
]
Node = Annotated[
    dict[str, Any], BeforeValidator(_check_target), Allowed("a _target_ and its arguments")
]
Steps = Annotated[
    Whole,
    BeforeValidator(lambda value: _refuse_zero(value)),
    Allowed("a whole number from 1, or -1 for as many as the epochs have"),
]


def _refuse_zero(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no number")
    if value != -1 and not 1 <= value <= _MOST:
        raise ValueError("out of range")
    return value


def _parse_interval(value: Any) -> Any:
    """Lightning's interval: a whole number counts steps, a float to 1.0 is a part of an epoch."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
        raise ValueError("no interval")
    if isinstance(value, float) and value > 1:
        if not value.is_integer():
            raise ValueError("neither steps nor a part of an epoch")
        return int(value)
    return value


def _check_factors(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(
        isinstance(factor, int | float) and not isinstance(factor, bool) and factor >= 0
        for factor in value.values()
    ):
        raise ValueError("no factors")
    return value


Interval = Annotated[
    Any,
    BeforeValidator(_parse_interval),
    Allowed("a whole number from 1, a fraction of an epoch to 1.0, or null"),
]


def _parse_multiscale(value: Any) -> Any:
    if value is not None:
        Multiscale.parse(value)
    return value


def _parse_late_weights(value: Any) -> Any:
    """A number stands for [1, number]."""
    if not isinstance(value, dict) or not value:
        raise ValueError("no weights by name")
    pairs = {name: one if isinstance(one, list) else [1, one] for name, one in value.items()}
    for pair in pairs.values():
        if len(pair) != 2 or any(
            isinstance(one, bool) or not isinstance(one, int | float) or one < 0 for one in pair
        ):
            raise ValueError("no weights")
    return {str(name): [float(one) for one in pair] for name, pair in pairs.items()}


Sizes = Annotated[
    Any,
    BeforeValidator(_parse_multiscale),
    Allowed(
        f"a range such as 256-1024, or a list of sides or [height,width], multiples of {MULTIPLE},"
        " or null"
    ),
]
LateWeights = Annotated[
    dict[str, Any],
    BeforeValidator(_parse_late_weights),
    Allowed("loss terms and numbers from 0, {bce: 0, ssim: [0,1]}"),
]
ParamGroups = Annotated[
    Any,
    BeforeValidator(_check_factors),
    Allowed("parts of names and numbers from 0, {backbone: 1, rest: 10}, or null"),
]


class OptimizerSettings(OpenSettings):
    """An optimizer of torch, or one's own."""

    target: str = setting("class or function", alias="_target_")
    lr: float = setting("learning rate", daily=True, gt=0, le=1e6, default=ABSENT)
    weight_decay: float = setting("of the weights", ge=0, default=ABSENT)
    momentum: float = setting("share of the step before", ge=0, lt=1, default=ABSENT)
    eps: float = setting("keeps divisions finite", gt=0, default=ABSENT)


class LRSchedulerSettings(OpenSettings):
    """A scheduler of ours, called with the optimizer and the number of steps, or one's own."""

    target: str | None = setting("class or function; null: a constant rate", alias="_target_")
    warmup_iteration: Whole = setting(
        "steps until the whole rate is allowed", ge=0, le=_MOST, default=ABSENT
    )
    minimum_lr: float = setting("where the decay ends", ge=0, default=ABSENT)


class ModelSettings(OpenSettings):
    """What every model states."""

    name: Name = setting("of the model in tables and file names")
    size: Size = setting("side of the network's input in pixels, or [height,width]", daily=True)
    inputs: Names = setting("parts of a batch that the network sees", min_length=1)
    batch_size: Whole = setting("images a step, on each device", ge=1, le=65536, daily=True)
    epochs: Whole = setting("how long to train", ge=1, le=_MOST, daily=True)
    steps: Steps = setting("counts steps instead of epochs; -1: epochs")
    multiscale: Sizes = setting("sizes of training batches; null: `size` alone", default=None)
    val_check_interval: Interval = setting("steps between validations; null: an epoch")
    monitor: Name = setting("metric by which the best checkpoint is chosen")
    val_metrics: Names = setting("metrics of validation")
    test_metrics: Names = setting("metrics of the test")
    patience: Whole | None = setting(
        "validations without gain before training stops; null: never", ge=1, le=_MOST
    )
    stopping_threshold: float | None = setting(
        "training stops once `monitor` reaches it; null: never"
    )
    gradient_clip_val: float | None = setting("largest norm of the gradient; null: any", gt=0)
    sync_batchnorm: Flag = setting("one BatchNorm over all GPUs")
    activations: float = setting(
        "what an image of 1024² keeps for the backward pass, IS-Net's being 1: memory= goes by it",
        gt=0,
        default=ABSENT,
    )
    network: Node = setting("the nn.Module")
    processor: Node = setting("how an image becomes an input, and logits a mask")
    losses: dict[str, Node | None] = setting("loss terms by name")
    param_groups: ParamGroups = setting(
        "factors on optimizer.lr by parts of parameters' names, `rest` for all others", default=None
    )
    feature_supervision: Literal["mse", "kl", "l1", "smooth_l1"] | None = setting(
        "IS-Net: distance to the features of its ground-truth encoder", default=ABSENT
    )


class DataSettings(OpenSettings):
    """What every data set states; each key only where the set has it."""

    target: str = setting("data module", alias="_target_")
    root: FilePath | None = setting(
        "where the data sets lie (or the variable FINECUT_DATA)", daily=True, default=ABSENT
    )
    batch_size: Whole = setting("images a step, on each device", ge=1, le=65536)
    eval_batch_size: Whole = setting("images at once in validation and test", ge=1, le=65536)
    drop_last: Flag = setting("drop training's last batch where it is not full")
    num_workers: Whole | None = setting(
        "processes that read ahead; null: one per core, at most 8", ge=0, le=1024
    )
    seed: Seed = setting("of the order and the augmentation")
    val_fraction: float = setting(
        "held out of train where there is no val", ge=0, lt=1, default=ABSENT
    )
    val_split: Literal["val", "train"] = setting(
        "train: validate on the training images", default=ABSENT
    )
    on_error: Literal["stop", "skip"] = setting(
        "skip: train without faulty files, with a warning each", default=ABSENT
    )
    soft: Flag = setting("masks are mattes, whose gray is alpha", default=ABSENT)
    allow_empty: Flag = setting("training masks may be all black", default=ABSENT)
    reduced_decode: Flag = setting("decode large JPEGs at 1/2..1/8", default=ABSENT)
    cache: Literal["none", "disk", "ram"] = setting("keep resized training samples", default=ABSENT)
    cache_dir: FilePath | None = setting(
        "where cached samples lie; null: FINECUT_CACHE, else cache", default=ABSENT
    )
    shuffle_window: Whole | None = setting(
        "shards of the training set that are shuffled together; null: all images",
        ge=1,
        default=ABSENT,
    )
    shard_cache_gb: float = setting(
        "gigabytes in cache_dir for shards from a URL, on each machine", gt=0, default=ABSENT
    )
    image_seed: Seed = setting("of drawn images", default=ABSENT)


class TrainerSettings(OpenSettings):
    """Lightning's Trainer; keys beside these are Lightning's own."""

    target: Literal["lightning.Trainer"] = setting("Lightning's Trainer", alias="_target_")
    accelerator: Name = setting("auto, cpu, gpu, cuda, mps or tpu")
    devices: Annotated[
        Any,
        BeforeValidator(_parse_devices),
        Allowed("auto, a whole number from 1, -1 for all, or a list of numbers"),
    ] = setting("GPUs, or processes on a CPU", daily=True)
    num_nodes: Whole = setting("machines", ge=1, le=100_000)
    strategy: Name = setting("auto, ddp or another of Lightning's")
    precision: Name | None = setting("32-true, bf16-mixed or 16-mixed", daily=True)
    max_epochs: Whole | None = setting("epochs; model.epochs sets it", ge=1, le=_MOST)
    max_steps: Steps = setting("steps; model.steps sets it")
    val_check_interval: Interval = setting("the top-level val_check_interval sets it")
    accumulate_grad_batches: Whole = setting("batches summed to one step", ge=1, le=1_000_000)
    gradient_clip_val: float | None = setting("largest norm of the gradient", gt=0)
    sync_batchnorm: Flag = setting("one BatchNorm over all GPUs")
    deterministic: Any = setting("true: slower on a GPU, repeatable to the bit")
    log_every_n_steps: Whole = setting("steps between two rows of metrics.csv", ge=1, le=_MOST)
    num_sanity_val_steps: Whole = setting("validation batches before training", ge=-1, le=_MOST)
    limit_train_batches: Limit = setting("of an epoch", default=ABSENT)
    limit_val_batches: Limit = setting("of a validation", default=ABSENT)
    limit_test_batches: Limit = setting("of the test", default=ABSENT)
    overfit_batches: Limit = setting("train on so many, over and over", default=ABSENT)


class MetricsSettings(OpenSettings):
    """What validation and test metric."""

    val: Names = setting("metrics of validation")
    test: Names = setting("metrics of the test")
    extra: dict[str, Any] | None = setting(
        "metrics of torchmetrics by name: {dice: {_target_: torchmetrics.…, …}}", default=None
    )
    workers: Whole = setting("processes that score beside the network", ge=0, le=1024)
    clicks: Whole = setting(
        "click-guided models: clicks of a simulated user on each test object; 20 for NoC, 0: none",
        ge=0,
        le=20,
        default=ABSENT,
    )
    jitter_runs: Whole = setting(
        "how many users with jitter click beside that one; 5 for tables",
        ge=0,
        le=1000,
        default=ABSENT,
    )


class SweepSettings(Settings):
    """A search with Optuna."""

    trials: Whole = setting("of the study, by all its workers and calls together", ge=1, le=_MOST)
    at_once: Whole = setting("trials that this command launches together", ge=1, le=100_000)
    study: Name | None = setting("its name; null: that of the sweep's folder")
    storage: Text | None = setting(
        "sqlite:///FILE or postgresql://…; null: study.db in the sweep's folder"
    )
    seed: Seed | None = setting("of the sampler; null: another one at each start")
    storage_timeout: float = setting(
        "seconds to wait for a storage that goes away in mid-search", ge=0, le=_MOST
    )


class LauncherSettings(OpenSettings):
    """How jobs of a sweep run; each key only where the launcher has it."""

    jobs: Whole = setting("at once on this machine", ge=1, le=100_000, default=ABSENT)
    gpus: Whole = setting("of a job", ge=0, le=1024, default=ABSENT)
    cpus: Whole = setting("of a job, for its data workers", ge=1, le=4096, default=ABSENT)
    memory_gb: float = setting("of a job", gt=0, default=ABSENT)
    minutes: Whole = setting("after which a job is stopped", ge=1, le=_MOST, default=ABSENT)
    requeues: Whole = setting("how often a job may go back", ge=0, le=_MOST, default=ABSENT)
    notice: Whole = setting(
        "seconds before its end at which a job is warned", ge=0, le=_MOST, default=ABSENT
    )
    at_once: Whole = setting("jobs that run at the same time", ge=1, le=_MOST, default=ABSENT)
    partition: Name | None = setting("of the cluster", default=ABSENT)
    account: Name | None = setting("of the cluster", default=ABSENT)


class LateLossSettings(Settings):
    """How the weights of loss terms change in the last epochs."""

    epochs: Whole = setting("how many epochs at the end", ge=1, le=_MOST)
    weights: LateWeights = setting(
        "of loss terms in them, or [before,in them]; before it is 1, and those not named keep it"
    )
    compound: Flag = setting(
        "multiply by the weight once more in each of them, as BiRefNet does", default=False
    )


class BackgroundSettings(Settings):
    """New backgrounds behind the foreground of training samples."""

    share: float = setting("of the samples that get a new background", ge=0, le=1)
    images: FilePath | None = setting("folder of background images; null: plain colors")


class MemoryChoice(Settings):
    """What `memory=auto` chose, and the numbers behind it."""

    batch_size: Whole = setting("images at once", ge=1, le=65536)
    accumulate_grad_batches: Whole = setting("batches summed to one step", ge=1, le=1_000_000)
    precision: Name = setting("of the computation")
    activation_checkpointing: Flag = setting("whether activations are computed twice")
    predicted_gb: float = setting("peak that followed from smaller batches, in GiB", ge=0)
    measured_gb: float = setting("peak of the step that was measured, in GiB", ge=0)
    limit_gb: float = setting("what the peak had to stay below, in GiB", ge=0)
    device: Text = setting("on which it was measured")


class MemorySettings(Settings):
    """`memory=auto`: what fits is measured once, and chosen by."""

    limit_gb: float | None = setting(
        "GiB that the training process may take; null: what is free", gt=0, le=1_000_000
    )
    typed: Names = setting("keys that the command sets, which stay")
    chosen: MemoryChoice | None = setting("what was chosen; the run fills it in", default=None)


class TrainSettings(OpenSettings):
    """Training and test of a model on a data set."""

    seed: Seed = setting("of everything that is drawn")
    name: Name = setting("of the run; its folder is logs/<name>/<time>")
    val_check_interval: Interval = setting("steps between validations; null: an epoch")
    fit: Flag = setting("train; false: only test")
    test: Flag = setting("test the best checkpoint")
    dry_run: Flag = setting("a few steps at full size, then what the whole run will cost")
    activation_checkpointing: Flag = setting("compute activations twice instead of keeping them")
    compile: Flag = setting("training steps through torch.compile; minutes to start, for GPUs")
    multiscale: Sizes = setting(
        "sizes of training batches, drawn for each; null: model.size alone", default=None
    )
    late_losses: LateLossSettings | None = setting(
        "weights of loss terms in the last epochs; null: the same to the end", default=None
    )
    backgrounds: BackgroundSettings | None = setting(
        "new backgrounds behind the foreground of training samples", default=None
    )
    resume: FilePath | None = setting("a run folder: continue that run", daily=True)
    resume_data: Literal["accept"] | None = setting(
        "accept: go on with data that changed since the run was stopped"
    )
    weights: FilePath | None = setting(
        "a checkpoint to start from, or with fit=false to test", daily=True
    )
    objective: Name = setting("what a sweep judges by, the mean over the test sets")
    published: Name | None = setting(
        "a recipe whose printed numbers stand beside this run in tables; null: its own"
    )
    folder: Text = setting("stands for the run's folder in every path")
    model: ModelSettings = setting("conf/model")
    optimizer: OptimizerSettings = setting("conf/optimizer")
    lr_scheduler: LRSchedulerSettings | None = setting("conf/lr_scheduler", default=None)
    data: DataSettings = setting("conf/data")
    trainer: TrainerSettings = setting("conf/trainer")
    metrics: MetricsSettings = setting("conf/metrics")
    sweep: SweepSettings | None = setting("conf/sweep", default=ABSENT)
    launcher: LauncherSettings | None = setting("conf/launcher", default=ABSENT)
    memory: MemorySettings | None = setting("conf/memory, of memory=auto", default=ABSENT)

    @model_validator(mode="after")
    def _check(self) -> "TrainSettings":
        scheduler = self.lr_scheduler and self.lr_scheduler.model_dump(exclude_unset=True)
        if scheduler and scheduler["target"] is None and len(scheduler) > 1:
            raise ValueError(
                "lr_scheduler=constant takes no arguments: choose lr_scheduler=poly or another"
            )
        if not self.fit and not self.test and not self.dry_run:
            raise ValueError("fit=false and test=false: nothing is left to do")
        if self.multiscale is not None:
            self._check_multiscale()
        if self.late_losses is not None:
            self._check_late_losses(self.late_losses)
        return self

    def _check_multiscale(self) -> None:
        if self.data.cache not in (ABSENT, "none"):
            raise ValueError(
                f"data.cache={self.data.cache} keeps samples of one size, and multiscale= wants"
                " several: leave one of them out"
            )
        if self.compile:
            raise ValueError(
                "compile=true compiles the network for one size, and multiscale= has several:"
                " leave one of them out"
            )

    def _check_late_losses(self, late: LateLossSettings) -> None:
        named = [name for name, node in self.model.losses.items() if node is not None]
        if unknown := [name for name in late.weights if name not in named]:
            raise ValueError(
                f"late_losses.weights names {', '.join(unknown)}; the loss terms of model="
                f"{self.model.name} are {', '.join(named)}"
            )
        for place, when in enumerate(("before", "in")):
            if all(late.weights.get(name, (1, 1))[place] == 0 for name in named):
                raise ValueError(f"late_losses leaves no loss term {when} the last epochs")
        epochs, steps = self.trainer.max_epochs, self.trainer.max_steps
        if epochs is None or steps != -1:
            raise ValueError(
                "late_losses counts epochs from the end: set model.epochs=, and model.steps=-1"
            )
        if late.epochs > epochs:
            raise ValueError(f"late_losses.epochs={late.epochs}: the training has {epochs}")


def parse_training(config: DictConfig) -> DictConfig:
    """A resolved training config whose values have the types of the schema.

    What the schema does not name (arguments of networks, losses, callbacks) stays as it is; their
    constructors state what they take, which `nodes.check_nodes` compares.

    Raises:
        CommandError: A line for each key that cannot be meant.
    """
    values = plain(config)
    if wrong := sorted(_not_finite(values)):
        raise CommandError(in_lines(f"{key}: give a finite number" for key in wrong))
    settings = parse(TrainSettings, config)
    typed = settings.model_dump(exclude_unset=True, by_alias=True)
    result = config.copy()
    _put(result, values, typed, "")
    if result.data.get("soft"):
        _score_mattes(result)
    return result


def _score_mattes(config: DictConfig) -> None:
    """Take the metrics of mattes in place of a model's own, which cut ground truth at 128.

    What a command chooses itself stays: other metrics than the model's, and what is monitored if it
    is among them.
    """
    listed = yaml.safe_load((CONF / "metrics" / "matting.yaml").read_text(encoding="utf-8"))["test"]
    for use, own, taken in (
        ("test", "test_metrics", listed),
        ("val", "val_metrics", _VALIDATED),
    ):
        asked = list(config.metrics[use])
        if asked == list(config.model[own]) and not set(asked) & set(listed):
            config.metrics[use] = config.model[own] = list(taken)
    monitor = f"val/{config.metrics.val[0]}"
    if config.model.monitor.removeprefix("val/") not in config.metrics.val:
        before, config.model.monitor = config.model.monitor, monitor
        for callback in (config.get("callbacks") or {}).values():
            if isinstance(callback, DictConfig) and callback.get("monitor") == before:
                callback.monitor = monitor


class _Sweep(Settings):
    sweep: SweepSettings = setting("conf/sweep")


def parse_sweep(values: dict[str, Any]) -> SweepSettings:
    """The settings of a search, given those below `sweep`."""
    return parse(_Sweep, {"sweep": values}).sweep


class _Launch(OpenSettings):
    sweep: SweepSettings | None = setting("conf/sweep", default=ABSENT)
    launcher: LauncherSettings | None = setting("conf/launcher", default=ABSENT)


def parse_launcher(config: DictConfig) -> None:
    """Refuse a sweep or a launcher whose settings cannot be meant, given a sweep's whole config."""
    parse_part(_Launch, config)


def _not_finite(values: Any, path: str = "") -> list[str]:
    if is_finite_everywhere(values):
        return []
    if isinstance(values, dict):
        inner = [(f"{path}.{key}" if path else str(key), value) for key, value in values.items()]
        return [found for key, value in inner for found in _not_finite(value, key)]
    return [path]


def _put(config: DictConfig, before: Any, typed: Any, path: str) -> None:
    """Write the values whose type changed into the config."""
    for key, value in typed.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            _put(config, before[key], value, place)
        elif value != before.get(key) or type(value) is not type(before.get(key)):
            OmegaConf.update(config, place, literals(value), merge=False)
