"""What may be done with released weights: their license, and the terms of what they learned from.

No term is interpreted beyond its words: what nobody states is unclear, and unclear is no yes.
"""

import logging
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from src.errors import UserError
from src.hashing import file_hash
from src.weights.known_onnx import KnownOnnx, recognized
from src.weights.model_folder import ENTRY, HUB, WEIGHTS, read_config
from src.weights.registry import Released, find, identify, locate

log = logging.getLogger(__name__)

Answer = Literal["yes", "no", "unclear"]


class LicenseError(UserError):
    """Weights that may not be used for the asked purpose; the message says why."""


class TrainingSet(NamedTuple):
    """A data set by its authors.

    Attributes:
        name: Of the set.
        parts: Names of its parts, as registry and data configs have them.
        page: The authors'.
        commercial: Whether its terms allow commercial use.
        terms: What its authors state; None: nothing that we found.
        source: Where that was read.
    """

    name: str
    parts: tuple[str, ...]
    page: str
    commercial: Answer
    terms: str | None = None
    source: str | None = None


@cache
def training_sets() -> dict[str, TrainingSet]:
    """The sets of `training_sets.yaml` by the names of their parts."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("training_sets.yaml").read_text(encoding="utf-8")
    )
    each = (
        TrainingSet(name=name, **{**entry, "parts": tuple(entry["parts"])})
        for name, entry in entries.items()
    )
    return {part: training_set for training_set in each for part in training_set.parts}


def sets_of(entry: Released) -> list[TrainingSet]:
    """The sets that weights were trained on, each once; none where the authors do not say."""
    known = training_sets()
    return list(dict.fromkeys(known[part] for part in entry.trained_on or () if part in known))


def commercial_use(entry: Released) -> tuple[Answer, list[str]]:
    """Whether weights may be used commercially, and what speaks against it.

    "no" where a training set's terms forbid it, "unclear" where something is not stated, "yes"
    where weights and all sets allow it.
    """
    sets = sets_of(entry)
    against = [_short(one) for one in sets if one.commercial == "no"]
    if against:
        return "no", [f"trained on {', '.join(against)}"]
    open_points = [] if entry.weights_license else ["no license is stated for the weights"]
    if entry.trained_on is None:
        open_points.append("what they were trained on is not stated")
    unclear = [one.name for one in sets if one.commercial == "unclear"]
    unclear += [part for part in entry.trained_on or () if part not in training_sets()]
    if unclear:
        open_points.append(f"no terms that allow it are known of {', '.join(unclear)}")
    return ("unclear", open_points) if open_points else ("yes", [])


def require_commercial(weights: str | Path) -> None:
    """Refuse weights of the registry, by name or as a file, that may not be used commercially.

    A file that is none of them is yours to know: a warning says so.

    Raises:
        LicenseError: Their training sets forbid it, or nothing that we found allows it.
    """
    entry = _released(weights)
    if isinstance(entry, KnownOnnx):
        raise LicenseError(
            f"commercial=true: {entry.name}: these weights "
            f"{'may not be used commercially' if entry.commercial == 'no' else 'are not cleared'}: "
            f"{entry.license or 'no license is stated'}, and what they were trained on is not "
            f"known here ({entry.page})"
        )
    if entry is None:
        log.warning("%s is none of the released weights: its license is not known here", weights)
        return
    answer, reasons = commercial_use(entry)
    if answer != "yes":
        raise LicenseError(refusal(entry, answer, reasons))


def refusal(entry: Released, answer: Answer, reasons: list[str]) -> str:
    """One line on why `commercial=true` refuses weights."""
    said = "may not be used commercially" if answer == "no" else "are not cleared for it"
    return (
        f"commercial=true: {entry.name}: these weights {said}: {'; '.join(reasons)}. "
        "`finecut models list` shows the terms of each set"
    )


def _short(one: TrainingSet) -> str:
    return f"{one.name} (non-commercial: {one.page})"


def trained_on(weights: str | Path, sha256: str | None = None) -> tuple[str, ...] | None:
    """The sets that released weights were trained on; None where it is unknown or not released.

    A file is recognized by its hash where that is given, else by its name.
    """
    path = Path(weights)
    entry = (identify(path, sha256) if sha256 else find(path.name)) or _in_onnx(path, sha256)
    return entry.trained_on if isinstance(entry, Released) else None


def shared(weights: Path) -> Released | None:
    """What the folder of a model that finecut wrote says of its weights; None for other files.

    Raises:
        UserError: Its config is damaged.
    """
    config = read_config(weights) or {}
    if ENTRY not in config:
        return None
    license, sets = config.get("license"), config.get("trained_on")
    return Released(
        name=weights.parent.name,
        model="",
        file=weights.name,
        purpose="",
        page="",
        code_license=None,
        weights_license=license if isinstance(license, str) else None,
        trained_on=tuple(map(str, sets)) if isinstance(sets, list) else None,
    )


def _released(weights: str | Path) -> Released | KnownOnnx | None:
    path = Path(weights).expanduser()
    if str(weights).startswith(HUB) or (path.is_dir() and (path / WEIGHTS).is_file()):
        return shared(locate(weights))
    if named := find(path.name):
        return named
    if not path.is_file():
        return None  # the command itself says what is wrong with it
    digest = file_hash(path)
    return identify(path, digest) or _in_onnx(path, digest)


def _in_onnx(path: str | Path, sha256: str | None) -> Released | KnownOnnx | None:
    """Whose weights an ONNX file holds: those of the registry, or others that are known."""
    known = recognized(path, sha256)
    return (find(known.released or "") or known) if known else None
