"""`resume=RUN key=value`: what changes takes effect and is recorded, the rest is refused."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from src.errors import UserError
from src.paths import CONF
from src.settings.renamed import require_new_keys_in
from src.training import config, provenance
from src.training.resume_rules import MAY_CHANGE, OF_A_STEP, SAME, kind_of, why_not
from src.training.trainer import arguments, devices_of, like

log = logging.getLogger(__name__)

ACCEPT = "accept"
_STRETCHED = "src.lit_modules.schedule."  # schedulers here can end elsewhere, torch's cannot
_LENGTH = ("trainer.max_epochs", "trainer.max_steps")

# Old and new values by key.
Changes = dict[str, tuple[Any, Any]]


class Asked(NamedTuple):
    """What a command that resumes says."""

    folder: Path
    values: dict[str, Any]  # by key, as typed
    accept_data: bool


def asks(words: Sequence[str]) -> bool:
    """Whether a command line resumes a run, and asks nothing of Hydra itself."""
    resumes = any(w.startswith("resume=") and w not in ("resume=null", "resume=") for w in words)
    return resumes and not any(word.startswith("-") for word in words)


def read(words: Sequence[str]) -> Asked:
    """The settings of a command line in Hydra's grammar.

    Raises:
        UserError: It resumes no folder, or wants what a run that is under way cannot be.
    """
    values: dict[str, Any] = {}
    for override in _parsed(words):
        key = override.get_key_element().lstrip("+~")
        if override.is_sweep_override():
            raise UserError(f"resume continues one run: {override.input_line} means several")
        values[key] = None if override.is_delete() else override.value()
    accept = values.pop("resume_data", None)
    if accept not in (None, ACCEPT):
        raise UserError(f"resume_data is {accept}: give resume_data={ACCEPT}, or leave it out")
    given = OmegaConf.create({"resume": values.pop("resume", None)}).resume
    folder = Path(str(given or "")).expanduser()
    if given in (None, ""):
        raise UserError("resume is empty: give resume=FOLDER, one that holds a config.yaml")
    if folder.is_file():
        raise UserError(
            f"{folder} is a file: resume= continues a run's folder; weights={folder} starts a"
            " new run from a checkpoint's weights"
        )
    return Asked(folder.absolute(), values, accept == ACCEPT)


def amended(asked: Asked) -> tuple[DictConfig, Changes]:
    """The run's config with the values that were asked for, and what changed by them.

    Raises:
        UserError: Values that cannot change, each by name and with the reason.
    """
    before = config.load_config(asked.folder, located=False)
    anew = f"{asked.folder} is of an older version; {start_anew(asked.folder)} starts a new run"
    require_new_keys_in("train", before, anew)
    _require_whole(before, asked.folder)
    after = before.copy()
    values = dict(asked.values)
    if (chosen := _chosen_loggers(values.get("logger"))) is not None:
        _choose_loggers(after, chosen)
        del values["logger"]
    values = _by_all_names(values, before)
    for key, value in values.items():
        _require_known(key, before)
        with open_dict(after):
            try:
                OmegaConf.update(after, key, value, merge=False, force_add=True)
            except Exception as error:  # a key inside of a plain value
                raise UserError(f"resume: {key}: {str(error).splitlines()[0]}") from None
    after = config.resolve(after)
    changes = changes_of(before, after)
    _require_allowed(changes, before, after, asked.folder)
    return after, changes


def changes_of(before: DictConfig, after: DictConfig) -> Changes:
    """Old and new values of the keys that differ; None where a key is not there."""
    old, new = dict(config.flat(_plain(before))), dict(config.flat(_plain(after)))
    keys = [*old, *(key for key in new if key not in old)]
    ignored = ("resume", "resume_data")
    return {
        key: (old.get(key), new.get(key))
        for key in keys
        if key not in ignored and (key in old) + (key in new) and old.get(key) != new.get(key)
    }


def record(folder: Path, after: DictConfig, changes: Changes) -> None:
    """Note in the run's provenance that it is resumed, when, and with which changes."""
    known = provenance.read(folder)
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "changed": {key: {"from": old, "to": new} for key, (old, new) in changes.items()},
        "config_hash": config.config_hash(after),
    }
    provenance.write(folder, resumes=[*known.get("resumes", []), entry])
    for key, (old, new) in changes.items():
        log.info("resume: %s is %s, was %s", key, new, old)


def _parsed(words: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        raise UserError(f"resume: {str(error).splitlines()[0]}") from None


def _require_whole(cfg: DictConfig, folder: Path) -> None:
    """Refuse a config that is not the one that the run's provenance knows."""
    known = provenance.read(folder)
    hashes = [
        known.get("config_hash"),
        *(entry.get("config_hash") for entry in known.get("resumes", [])),
    ]
    trained = any((folder / "checkpoints").glob("*.ckpt"))
    if trained and any(hashes) and config.config_hash(cfg) not in hashes:
        raise UserError(
            f"{folder / config.CONFIG} is not what this run was started with: it was edited or"
            " damaged. Put it back and give changes as resume=… key=value, or start a new run"
            f" from its weights: {start_anew(folder)}"
        )
    lost = [key for key in ("model", "data", "trainer", "callbacks", "seed") if key not in cfg]
    if lost and trained:
        raise UserError(
            f"{folder / config.CONFIG} is damaged: {', '.join(lost)} missing; put a copy of it"
            " back, or start a new run"
        )


def _by_all_names(values: Mapping[str, Any], cfg: DictConfig) -> dict[str, Any]:
    """The values with the same under the other name of each key that has two."""
    found = dict(values)
    for run in dict.fromkeys(SAME.values()):
        names = [*(name for name, same in SAME.items() if same == run), run]
        given = [name for name in names if name in values]
        if any(values[name] != values[given[0]] for name in given):
            raise UserError(f"resume: {' and '.join(given)} mean the same here; give one of them")
        found |= {name: values[given[0]] for name in names if given and config.has_key(cfg, name)}
    return found


def _chosen_loggers(value: Any) -> str | None:
    """What follows `logger=` in Hydra's grammar, where it chooses of the group."""
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return f"[{','.join(value)}]"
    return value if isinstance(value, str) else None


def _choose_loggers(cfg: DictConfig, names: str) -> None:
    """Put `logger=NAMES` into a run's config, as a new run would have it."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base=None):
            chosen = compose("train", [f"logger={names}"])
    except HydraException as error:
        raise UserError(f"resume: logger={names}: {str(error).splitlines()[0]}") from None
    with open_dict(cfg):
        cfg.logger = OmegaConf.to_container(chosen.logger)


def _require_known(key: str, cfg: DictConfig) -> None:
    if "/" in key or "@" in key:
        raise UserError(f"resume continues a run as it was: {key} would change a whole group")
    if config.has_key(cfg, key) or key.startswith(("logger.", "hydra.")) or key in MAY_CHANGE:
        if OmegaConf.is_config(OmegaConf.select(cfg, key)) and kind_of(SAME.get(key, key)) is None:
            inside = [name for name, _ in config.flat(_plain(cfg)) if name.startswith(f"{key}.")]
            example = f", such as {inside[0]}" if inside else ""
            raise UserError(
                f"resume continues a run as it was: {key}= would change a whole group; give single"
                f" values{example}, or start a new run"
            )
        return
    if key.startswith("trainer.") and key.split(".")[1] in arguments():
        return
    known = [name for name, _ in config.flat(_plain(cfg))]
    raise UserError(f"resume: this run has no {key}{like(key, known)}")


def _require_allowed(changes: Changes, before: DictConfig, after: DictConfig, folder: Path) -> None:
    refused = []
    for key, (_, new) in changes.items():
        run = SAME.get(key, key)
        kind = kind_of(run)
        if run in OF_A_STEP:
            continue  # together, below
        if run.startswith("logger") or _is_in_dropped(run, after):
            continue
        if kind is None:
            refused.append(f"{key} cannot change in a run that is under way: {why_not(run)}")
        elif not kind.holds(new):
            refused.append(f"{key} is {new!r}: give {kind.allowed}")
    refused += _of_a_step(changes, before, after)
    refused += _of_the_scheduler(changes, before)
    if not refused:
        return
    wanted = " ".join(
        f"{key}={new}" for key, (_, new) in changes.items() if kind_of(SAME.get(key, key)) is None
    )
    anew = f" A new run from its weights: {start_anew(folder)} {wanted}" if wanted else ""
    raise UserError(f"resume: {'; '.join(dict.fromkeys(refused))}.{anew}".rstrip())


def _is_in_dropped(key: str, after: DictConfig) -> bool:
    """Whether a key is gone because a part that may be left out was set to null."""
    parents = [key.rsplit(".", n)[0] for n in range(1, key.count(".") + 1)]
    return any(kind_of(parent) and OmegaConf.select(after, parent) is None for parent in parents)


def _of_a_step(changes: Changes, before: DictConfig, after: DictConfig) -> list[str]:
    changed = [key for key in changes if SAME.get(key, key) in OF_A_STEP]
    if not changed:
        return []
    bad = [
        f"{key} is {changes[key][1]!r}: give a whole number from 1 on"
        for key in changed
        if not key.endswith("devices")
        and not (isinstance(changes[key][1], int) and changes[key][1] >= 1)
    ]
    if bad:
        return bad
    old, new = images_of_a_step(before), images_of_a_step(after)
    if old == new or old is None or new is None:
        return []  # where the machine decides, `resumable` asks the checkpoint
    names = ", ".join(changed)
    return [
        f"{names}: a step would be of {new} images ({_factors(after)}), in this run it is of {old}"
        f" ({_factors(before)}), and the learning rate belongs to that; change"
        " data.batch_size, trainer.accumulate_grad_batches, trainer.devices and"
        " trainer.num_nodes so that their product stays"
    ]


def images_of_a_step(cfg: DictConfig) -> int | None:
    """Images that one step of the optimizer is of; None where the machine decides."""
    devices = devices_of(cfg.trainer)
    if devices is None:
        return None
    accumulated = cfg.trainer.accumulate_grad_batches
    return int(cfg.data.batch_size * accumulated * devices * cfg.trainer.num_nodes)


def _factors(cfg: DictConfig) -> str:
    trainer = cfg.trainer
    parts = (cfg.data.batch_size, trainer.accumulate_grad_batches, devices_of(trainer))
    return " × ".join(map(str, (*parts, trainer.num_nodes)))


def _of_the_scheduler(changes: Changes, before: DictConfig) -> list[str]:
    scheduler = before.get("lr_scheduler")
    changed = [key for key in changes if SAME.get(key, key) in _LENGTH]
    target = scheduler and scheduler.get("_target_")
    if not changed or target is None or str(target).startswith(_STRETCHED):
        return []
    return [
        f"{changed[0]} cannot change in a run that is under way: its lr_scheduler"
        f" ({target}) was made for the length that it started with"
    ]


def start_anew(folder: Path) -> str:
    """How a new run starts from the weights of this one."""
    checkpoints = folder / "checkpoints"
    recent = sorted(checkpoints.glob("recent-*.ckpt"), key=lambda p: (len(p.name), p.name))
    best = checkpoints / "best.ckpt"
    return f"weights={recent[-1] if recent and not best.is_file() else best}"


def _plain(cfg: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
