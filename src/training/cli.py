"""What `train.py` does with a composed config: a folder, its saved config, a process.

A run replaces this process, so that signals and exit codes are its own.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from src.errors import UserError
from src.settings.training import parse_training
from src.training import config, memory, preemption, resume
from src.training.child import let_idle_threads_sleep
from src.training.shared_folder import require_shared, started_together
from src.training.trainer import require_as_many, require_known


def continue_run(words: Sequence[str]) -> NoReturn:
    """Carry out `resume=RUN key=value`, in Hydra's grammar."""
    asked = resume.read(words)
    cfg, changes = resume.amended(asked)
    require_known(cfg.trainer)
    require_as_many(cfg)
    started = started_together(cfg.trainer.num_nodes)
    if started.rank == 0:
        save_resumed(parse_training(cfg), asked.folder, changes, asked.accept_data)
    require_shared(asked.folder, started)
    _carry_out(asked.folder)


def main(cfg: DictConfig) -> NoReturn:
    """Save the config of a new run and carry the run out, or continue the one it names."""
    hydra = HydraConfig.get()
    if cfg.resume is not None:
        continue_run(list(hydra.overrides.task))
    cfg = parse_training(cfg)
    # Unresolved: Hydra has resolved it once, and what is left of `${x}` is part of the name.
    folder = Path(OmegaConf.to_container(hydra.runtime)["output_dir"]).absolute()  # type: ignore[call-overload, index]
    require_known(cfg.trainer)
    require_as_many(cfg)
    started = started_together(cfg.trainer.num_nodes)
    if started.rank == 0:
        save_or_continue(cfg, folder)
    require_shared(folder, started)
    _carry_out(folder)


def save_resumed(cfg: DictConfig, folder: Path, changes: resume.Changes, accept_data: bool) -> None:
    """Save the config of a run that goes on, and note that it does and what changed."""
    with open_dict(cfg):
        cfg.resume_data = resume.ACCEPT if accept_data else None
    resume.record(folder, cfg, changes)
    config.save_config(cfg, folder)


def _carry_out(folder: Path) -> NoReturn:
    command = [sys.executable, "-m", "src.training.execute", str(folder)]
    let_idle_threads_sleep()
    sys.stdout.flush()
    os.execv(sys.executable, command)


def save_or_continue(cfg: DictConfig, folder: Path) -> None:
    """Save a run's config; where a scheduler started the run before, let it go on as it was.

    Raises UserError where the folder holds a training with other settings.
    """
    cfg = memory.carry_over(cfg, folder)
    trained = any((folder / "checkpoints").glob("*.ckpt"))
    if not (cfg.fit and trained and (folder / config.CONFIG).is_file()):
        config.save_config(cfg, folder)
        return
    if preemption.restarted():
        return  # the yaml files may have changed since; the run has not
    before, after = config.load_config(folder, located=False), config.resolve(cfg)
    if config.config_hash(before) != config.config_hash(after):
        raise UserError(
            f"{folder} holds a run with other settings; "
            f"continue that one with resume={folder}, or give this one another name="
        )
    accept = cfg.get("resume_data") == resume.ACCEPT
    save_resumed(after, folder, resume.changes_of(before, after), accept)
