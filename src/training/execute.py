"""Carries out a saved run: `python -m src.training.execute <run folder>`.

`train.py` and every rank that Lightning starts end here, so that all of them read one frozen
config and none replays a command line.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import LightningDataModule, Trainer
from omegaconf import DictConfig, OmegaConf

from src.command_line import literal
from src.datamodules.base import build_data
from src.datamodules.clicks import to_dict
from src.errors import (
    CommandError,
    UserError,
    disk_full_as_user_error,
    exit_on_user_error,
    os_errors_as_user_errors,
)
from src.hashing import file_hash
from src.instantiate import build
from src.networks.blocks import allow_single_values
from src.networks.network import Network, require_network
from src.paths import cache_folder
from src.processes import die_with_parent
from src.results.schema import RESULTS
from src.settings.multiscale import Multiscale
from src.settings.nodes import check_nodes
from src.settings.training import parse_training
from src.training import checkpoints, finetune, memory, preemption, provenance, rendezvous
from src.training.between_steps import StopBetweenSteps
from src.training.checkpoint_io import AtomicCheckpointIO
from src.training.config import config_hash, load_config
from src.training.data_state import DataState, require_same
from src.training.dry_run import dry_run
from src.training.loggers import METRICS, read_rows
from src.training.resumable import require_resumable, unusable_as_user_error
from src.training.resume import ACCEPT
from src.training.run_folder import run_lock
from src.training.teacher import build_teacher, obtain_teacher
from src.training.trainer import processes_of, require_known
from src.weights import registry
from src.weights.loading import load_official

log = logging.getLogger(__name__)

_WORKER_DIED = "DataLoader worker (pid"  # torch has no class for it


def execute(folder: Path) -> None:
    """Fit and test as the folder's config says; continues from its newest checkpoint if any."""
    memory.settle(folder)
    cfg = load_config(folder)
    require_known(cfg.trainer)
    cfg = check_nodes(parse_training(cfg))
    finetune.require_start(cfg)
    if cfg.weights is not None:
        cfg.weights = literal(str(registry.locate(cfg.weights)))  # reading it checks it
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = build_data(cfg)
    datamodule.setup("fit" if cfg.fit else "test")  # every bad file is found here
    base = finetune.mix(cfg, datamodule)
    if cfg.fit:
        datamodule.require_batch(processes_of(cfg.trainer))
    if "prompt" in cfg.model.inputs and cfg.data.get("prompts") is None:
        raise UserError(
            f"model={cfg.model.name} is guided by clicks and needs objects to click on: "
            "data=pascal_sbd, coco_instances or objects"
        )
    if cfg.metrics.get("clicks") and "prompt" not in cfg.model.inputs:
        raise CommandError(
            f"metrics.clicks={cfg.metrics.clicks}: model={cfg.model.name} is not guided by clicks; "
            "leave the key out"
        )
    training = cfg.fit and not cfg.dry_run
    cache = cache_folder(cfg.data.get("cache_dir"))
    data = DataState(datamodule, cache, base) if training else None
    newest = checkpoints.latest(folder) if training else None
    changed: dict[str, Any] = {}
    if data is not None:
        if newest is not None:
            changed = require_same(data, folder, cfg.get("resume_data") == ACCEPT)
            read_rows(folder / METRICS)  # damage is found here, and not after hours
        obtain_teacher(cfg, folder, data)  # for a dry run an untrained one costs as much
    module = build_module(cfg)
    # Else the run's own newest are loaded in their place.
    if cfg.weights and newest is None and not module.network.runs_file:
        load_official(module.network, cfg.weights)
    if cfg.activation_checkpointing:
        module.network.set_grad_checkpointing()
    if cfg.get("compile"):
        module.network.compile()  # in place: the names in checkpoints stay as they are
    if cfg.dry_run:
        cost = dry_run(cfg, module, datamodule)
        log.info("%s", cost)
        return
    trainer = build_trainer(cfg, folder)
    if newest is not None:
        require_resumable(newest, trainer, module, datamodule.batch_size)
    if trainer.is_global_zero:
        _note(cfg, folder, data.fingerprint if data else datamodule.fingerprint(), changed)
        if data is not None:
            data.write(folder)
        _note_weights(cfg, folder)
    _fit_and_test(cfg, folder, trainer, module, datamodule, newest)


def _fit_and_test(
    cfg: DictConfig,
    folder: Path,
    trainer: Trainer,
    module: Any,
    datamodule: LightningDataModule,
    newest: Path | None,
) -> None:
    if cfg.fit:
        if newest is None:
            finetune.score_untouched(cfg, trainer, module, datamodule)
        with unusable_as_user_error(newest, trainer):
            trainer.fit(module, datamodule, ckpt_path=newest, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
    if not cfg.test:
        _finish(folder, trainer)
        return
    if not datamodule.test_names:  # type: ignore[attr-defined]
        if not cfg.fit:
            raise UserError(
                "there is nothing to test: the data names no test set; give one, such as "
                "data.test.images=DIR data.test.masks=DIR, or data=folder data.root=DIR"
            )
        log.info("no test set: nothing is tested; weights are in %s", folder / checkpoints.FOLDER)
        _finish(folder, trainer)
        return
    checkpoint = _tested_checkpoint(cfg, folder)
    trainer.test(module, datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False)
    if trainer.is_global_zero:
        weights = checkpoint or cfg.weights
        assert weights is not None  # one of the two was tested
        sha256, network = file_hash(weights), module.network
        state = sha256 if network.runs_file else provenance.state_hash(network.state_dict())
        entry = {"path": str(weights), "sha256": sha256, "weights": state}
        _finish(folder, trainer, checkpoint=entry)
        log.info("results in %s", folder / RESULTS)


def _finish(folder: Path, trainer: Trainer, **entries: Any) -> None:
    """Write down that all that was asked for is done; a test is not always."""
    if trainer.is_global_zero:
        provenance.write(folder, finished=True, **entries)


def _tested_checkpoint(cfg: DictConfig, folder: Path) -> Path | None:
    """The checkpoint to test; None where weights that were given are tested as they are."""
    return None if cfg.weights and not cfg.fit else checkpoints.best(folder)


def build_module(cfg: DictConfig) -> Any:
    """The LightningModule of a model's config."""
    model = cfg.model
    processor = build(model.processor)
    if cfg.fit and cfg.data.get("soft"):
        processor = processor.unstretched()
    try:
        network = require_network(build(model.network, **_as_it_starts(cfg)))
        network.check_size(*processor.size)
        if cfg.get("multiscale") is not None:
            for shape in Multiscale.parse(cfg.multiscale).shapes:
                network.check_size(*shape)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"model={model.name}: {error}") from None
    allow_single_values(network)
    # Convolutions read maps fastest with their channels together.
    network.train().to(memory_format=torch.channels_last)
    teacher = build_teacher(model)
    prompts = build(model.get("prompts"))
    module = build(model.module, _partial_=True)  # objects are handed over as they are
    return module(
        network=network,
        processor=processor,
        inputs=list(model.inputs),
        losses={name: _built_term(term, teacher) for name, term in model.losses.items()},
        late_losses=_plain(cfg.get("late_losses")),
        optimizer=build(cfg.optimizer),
        lr_scheduler=build(_scheduler(cfg)),
        param_groups=model.get("param_groups"),
        finetuning=build(cfg.get("finetune")),
        val_metrics=list(cfg.metrics.val),
        test_metrics=list(cfg.metrics.test),
        foreign_metrics=_plain(cfg.metrics.get("extra")) or {},
        metric_workers=cfg.metrics.workers,
        skeleton_cache=_skeleton_cache(cfg.metrics.get("skeletons")),
        **_simulated_clicks(cfg),
        identity={
            "model": model.name,
            "network": OmegaConf.to_container(model.network, resolve=True),
            "prompts": prompts and to_dict(prompts),
        },
    )


def _built_term(node: DictConfig | None, teacher: Network | None) -> Any:
    """A loss term; one that is `_partial_` compares with the teacher, and is none without one."""
    term = build(node)
    if not isinstance(term, partial):
        return term
    return None if teacher is None else term(teacher)


def _scheduler(cfg: DictConfig) -> DictConfig | None:
    """The scheduler's config; None for a constant rate, `lr_scheduler=constant` or `=null`."""
    scheduler = cfg.get("lr_scheduler")
    return scheduler if scheduler is not None and scheduler.get("_target_") is not None else None


def _simulated_clicks(cfg: DictConfig) -> dict[str, int]:
    """What is asked of a click-guided module's test."""
    asked = {key: cfg.metrics.get(key) for key in ("clicks", "jitter_runs")}
    return {key: count for key, count in asked.items() if count}


def _plain(node: DictConfig | None) -> Any:
    return None if node is None else OmegaConf.to_container(node)


def _skeleton_cache(given: str | bool | None) -> str | None:
    if not given:
        return None
    return str(cache_folder() / "skeletons" if given is True else cache_folder(given))


def _as_it_starts(cfg: DictConfig) -> dict[str, bool]:
    """No ImageNet weights for a network that gets all its weights from a checkpoint."""
    return (
        {"pretrained": False}
        if cfg.weights is not None and "pretrained" in cfg.model.network
        else {}
    )


def build_trainer(cfg: DictConfig, folder: Path) -> Trainer:
    """The Trainer with the run's callbacks and loggers, all writing into `folder`."""
    callbacks = [c for c in (build(node) for node in cfg.callbacks.values()) if c is not None]
    callbacks.append(StopBetweenSteps())
    loggers = [logger for logger in (build(node) for node in cfg.logger.values()) if logger]
    every = cfg.trainer.val_check_interval
    # Steps are counted over the ends of epochs, fractions and whole epochs are not.
    epochs = cfg.trainer.get("check_val_every_n_epoch", None if isinstance(every, int) else 1)
    synchronised = cfg.trainer.sync_batchnorm
    if synchronised and (cfg.trainer.accelerator == "cpu" or not torch.cuda.is_available()):
        log.info("BatchNorm is not synchronized: torch does that on GPUs only")
        synchronised = False
    trainer = build(
        cfg.trainer,
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=str(folder),
        sync_batchnorm=synchronised,
        val_check_interval=every or 1.0,
        check_val_every_n_epoch=epochs,
    )
    rendezvous.join(trainer)
    return trainer


def _note(cfg: DictConfig, folder: Path, data: dict[str, Any], changed: dict[str, Any]) -> None:
    """Write down where the run's numbers come from, and that it goes on with other data."""
    known = provenance.read(folder)
    entries = provenance.collect(cfg, data)
    entries["config_hash"] = config_hash(load_config(folder, located=False))
    entries["finished"] = False  # a run that goes on is not, although it was
    if changed:
        *before, last = known.get("resumes") or [{}]
        entries["resumes"] = [*before, {**last, "data": changed}]
    provenance.write(folder, **entries)


def _note_weights(cfg: DictConfig, folder: Path) -> None:
    files = {"weights": cfg.weights}
    teacher = cfg.model.get("teacher")
    if teacher is not None:
        files["teacher"] = teacher.get("checkpoint")
    hashes = {name: file_hash(path) for name, path in files.items() if path}
    provenance.write(folder, weights=hashes)


def quieten() -> None:
    """Leave out what Lightning says of itself and of versions; a user can mend none of it."""
    for part in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(part).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Total length of `list` across ranks is zero.*",
        ".*You have overridden `on_after_batch_transfer` in `LightningModule`.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*is smaller than the logging interval.*",
        ".*module.s. in eval mode at the start of training.*",  # frozen norms
        ".*The `srun` command is available on your system but is not used.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*The dirpath has changed from.*",
        ".*Be aware that when using `ckpt_path`, callbacks used to create the checkpoint.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def main(words: Sequence[str]) -> int:
    """Carry out the run of a folder; returns the exit code."""
    if len(words) != 1:
        raise CommandError("usage: python -m src.training.execute <run folder>")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    quieten()
    preemption.install_handlers()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # Where torchrun is killed nobody ends its processes: they save themselves and make room for
        # the same command.
        die_with_parent(signal.SIGTERM)
    folder = Path(words[0])
    again = f"python train.py resume={folder} (or the sweep's command) continues"
    try:
        with (
            os_errors_as_user_errors(folder),
            run_lock(folder),
            disk_full_as_user_error(folder, again),
        ):
            execute(folder)
    except preemption.Preempted:
        log.info("stopped by a signal; the scheduler, or resume=%s, continues", folder)
        preemption.requeue()
        raise
    except torch.OutOfMemoryError:
        raise UserError(
            "the batch does not fit into the accelerator's memory. Halve model.batch_size "
            "and double trainer.accumulate_grad_batches, set trainer.precision=bf16-mixed, or "
            "let a new run measure what fits (memory=auto)."
        ) from None
    except RuntimeError as error:
        first = str(error).partition("\n")[0].strip()
        if first.startswith(_WORKER_DIED):
            raise UserError(
                f"a process that loads images ended: {first} Most often memory ran out: lower "
                f"data.num_workers. {again}."
            ) from None
        if reason := rendezvous.lost_connection(error):
            raise UserError(
                f"the connection to another process of this run is lost ({reason}): it ended, as"
                " its own output says, or its machine or the network did. The same command, or"
                f" resume={folder}, continues"
            ) from None
        raise
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main)(sys.argv[1:]))
