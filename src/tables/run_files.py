"""Reads the files of a run folder that anybody may have written, into values that can be trusted.

Not trusted to make anything: no interpolation is looked up, no class is built.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.plain_data import read_json, read_yaml
from src.runs.results import PER_IMAGE, RESULTS, digest

ADVICE = "test the run again"
CONFIG, PROVENANCE = "config.yaml", "provenance.json"

Check = Callable[[Any], bool]


def read_config(folder: Path) -> dict[str, Any]:
    """A run's frozen config, with what tables need of it. Raises UserError naming the key."""
    path = folder / CONFIG
    config = read_yaml(path, ADVICE)
    data = config.get("data") or {}
    _require(path, {"name": config.get("name")}, _is_name, "a name")
    _require(path, {"published": config.get("published")}, _or_none(_is_text), "a recipe")
    _require(path, {"seed": config.get("seed")}, _is_whole, "a whole number")
    _require(path, {"fit": config.get("fit")}, _is_flag, "true or false")
    _require(path, {"model": config.get("model"), "data": data}, _is_mapping, "a mapping")
    _require(path, {"model.name": config["model"].get("name")}, _is_name, "a name")
    weights = {key: config.get(key) for key in ("init_from", "checkpoint")}
    _require(path, weights, _or_none(_is_text), "a path")
    tests = data.get("test")
    _require(path, {"data.test": tests}, _or_none(_is_mapping), "a mapping")
    counts = {
        f"data.test.{name}.count": node.get("count")
        for name, node in (tests or {}).items()
        if isinstance(node, Mapping)
    }
    _require(path, counts, _or_none(_is_count), "a number of images")
    return config


def read_provenance(folder: Path) -> dict[str, Any]:
    """What a run says of its code, data and weights. Raises UserError naming the key."""
    path = folder / PROVENANCE
    found = read_json(path, ADVICE)
    groups = ("protocol", "images", "git", "data", "weights", "checkpoint", "files")
    for key in groups:
        found[key] = {} if found.get(key) is None else found[key]
        _require(path, {key: found[key]}, _is_mapping, "a mapping")
    _require(path, _within(found, "protocol"), _is_text, "a text")
    _require(path, _within(found, "images"), _is_count, "a number of images")
    for key in ("weights", "checkpoint", "files"):
        _require(path, _within(found, key), _or_none(_is_text), "a text")
    git = {"git.commit": found["git"].get("commit")}
    _require(path, git, _or_none(_is_text), "a commit")
    _require(path, {"git.dirty": found["git"].get("dirty")}, _or_none(_is_flag), "true or false")
    _require(path, _within(found, "data"), _or_none(_is_mapping), "a mapping")
    for part, facts in found["data"].items():
        place, facts = f"data.{part}", facts or {}
        _require(path, {f"{place}.sets": facts.get("sets")}, _or_none(_are_names), "names")
        _require(path, {f"{place}.count": facts.get("count")}, _or_none(_is_count), "a number")
        _require(path, {f"{place}.sha256": facts.get("sha256")}, _or_none(_is_text), "a text")
    return found


def read_results(folder: Path) -> dict[str, dict[str, float]]:
    """`{test set: {metric: value}}`; what is undefined on a set (`null`) is left out.

    Raises UserError naming what is no finite number.
    """
    path = folder / RESULTS
    found = read_json(path, ADVICE, finite=True)
    _require(path, found, _is_mapping, "a mapping of measures")
    for name in found:
        _require(path, _within(found, name), _or_none(_is_number), "a finite number")
    return {
        str(name): {metric: float(v) for metric, v in row.items() if v is not None}
        for name, row in found.items()
    }


def require_unchanged(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse results that are not the ones a run's provenance is of; older runs do not say."""
    for name in (RESULTS, PER_IMAGE):
        stated = provenance["files"].get(name)
        if stated is not None and stated != digest(folder / name):
            raise UserError(
                f"{folder / name} is not what its test wrote, by the checksum in {PROVENANCE}; "
                f"{ADVICE}"
            )


def _require(path: Path, values: Mapping[str, Any], check: Check, wanted: str) -> None:
    for key, value in values.items():
        if not check(value):
            shown = repr(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise UserError(f"{path}: {key} is {shown}, not {wanted}; {ADVICE}")


def _within(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {f"{key}.{inner}": value for inner, value in found[key].items()}


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _is_number(value: Any) -> bool:
    try:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(float(value))
        )
    except OverflowError:  # a whole number with hundreds of digits
        return False
