"""The rooms of `src` import what docs/architecture.md says they may, and nothing else of ours."""

import ast
from pathlib import Path

import pytest

from .running import ROOT

HALL = "files of `src` itself"
# Beside the files of `src` itself, which import no room.
MAY_IMPORT: dict[str, set[str]] = {
    "": {"settings", "networks"},  # `cli.py` and `doctor.py`, which people start
    "settings": set(),
    "networks": set(),
    "geometry": set(),
    "losses": {"networks", "datamodules"},  # of the latter only `Batch`
    "datamodules": {"settings", "geometry"},
    "metrics": set(),
    "evaluation": {"settings", "metrics", "datamodules", "runs"},
    "lit_modules": {"networks", "losses", "geometry", "metrics", "datamodules"},
    "callbacks": {"geometry", "metrics", "datamodules", "runs"},
    "runs": {"settings", "networks", "geometry", "datamodules", "callbacks", "lit_modules"},
    "tables": {"settings", "runs", "networks", "metrics"},
    "reproduce": {"settings", "runs", "tables", "datamodules"},
    "prediction": {"settings", "networks", "geometry", "datamodules", "runs", "export"},
    "export": {"settings", "networks", "geometry", "datamodules", "runs", "prediction"},
    "annotation": {"settings", "prediction", "geometry", "datamodules", "runs"},
    "page": {"settings", "prediction", "export", "annotation", "networks", "datamodules"},
}
WITHOUT_TORCH = {"evaluation", "tables", "reproduce"}


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    """What a file imports, dotted; relative ones stay within their room."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_it_may(room: str) -> None:
    allowed = MAY_IMPORT.get(room, set()) | {room}
    for path in (path for path in FILES if room_of(path) == room):
        rooms = {name.split(".")[1] for name in imports(path) if name.startswith("src.")}
        foreign = {name for name in rooms if (ROOT / "src" / name).is_dir()} - allowed
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"


@pytest.mark.parametrize("room", sorted(WITHOUT_TORCH))
def test_a_light_room_names_no_torch(room: str) -> None:
    for path in (path for path in FILES if room_of(path) == room):
        heavy = {name.split(".")[0] for name in imports(path)} & {"torch", "lightning", "timm"}
        assert not heavy, f"{path.relative_to(ROOT)} imports {', '.join(sorted(heavy))}"


def test_only_one_file_knows_timm() -> None:
    users = {path.name for path in FILES for name in imports(path) if name.split(".")[0] == "timm"}
    assert users == {"backbone.py"}


def test_every_room_is_drawn() -> None:
    drawn = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {room_of(path) for path in FILES} - {""}
    assert rooms == set(MAY_IMPORT) - {""}
    assert [room for room in sorted(rooms) if f"`src/{room}`" not in drawn] == []
    assert HALL in drawn


def test_files_stay_small() -> None:
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > 350}
    assert not long
