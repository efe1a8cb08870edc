"""`finecut data`: gets the data sets that their authors offer as archives, terms first.

For other sets it prints their page and where to put them.
"""

import os
import shutil
import stat
import sys
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from src.download import Checksum, download
from src.errors import CommandError, UserError
from src.paths import CONF, files_below
from src.weights.licenses import TrainingSet, training_sets
from src.weights.registry import note_of, remember, remembered

HELP = """\
finecut data                               lists the sets: what can be got, and the pages of others
finecut data get DIS5K data.root=FOLDER    prints the terms, asks, downloads, checks and unpacks
finecut data get DUTS accept=true          … without asking, into FINECUT_DATA"""
_SETS = CONF / "data" / "sets"
_YES = ("y", "yes")
_ARCHIVES = ".archives"  # in the root: downloads, and the checksums that were noted of them


class DataDownloadError(UserError):
    """A data set that did not come, or is not what its authors released."""


class Archives(NamedTuple):
    """Archives of one data set; see `archives.yaml`."""

    name: str
    sets: tuple[str, ...]
    files: dict[str, str]
    source: str


@cache
def archives() -> dict[str, Archives]:
    """The sets that can be got, by their names."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("archives.yaml").read_text(encoding="utf-8")
    )
    return {
        name: Archives(name=name, **{**entry, "sets": tuple(entry["sets"])})
        for name, entry in entries.items()
    }


def main(words: Sequence[str]) -> int:
    """List or get data sets; returns the exit code."""
    if any(word in ("-h", "--help", "help") for word in words):
        print(HELP)
        return 0
    action, rest = (words[0], words[1:]) if words else ("list", [])
    if action == "list" and not rest:
        return _list()
    if action != "get":
        raise CommandError(f"finecut data {action}: it is one of list, get; --help says more")
    keys = {"data.root": os.environ.get("FINECUT_DATA", ""), "accept": "false"}
    names = []
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            names.append(word)
        elif key not in keys or (key == "accept" and value not in ("true", "false")):
            raise CommandError(f"{word}: the keys are data.root=FOLDER and accept=true")
        else:
            keys[key] = value
    if len(names) != 1:
        raise CommandError("finecut data get: give the name of one set; finecut data lists them")
    entry = _entry(names[0])
    if not keys["data.root"]:
        raise CommandError("finecut data get: give data.root=FOLDER, or set FINECUT_DATA")
    root = Path(keys["data.root"]).expanduser()
    _accept(entry, keys["accept"] == "true")
    get(entry, root)
    print(f"{entry.name}: {', '.join(entry.sets)} in {root}, counts as released")
    return 0


def get(entry: Archives, root: Path) -> None:
    """Download the archives of a set and unpack them below `root`, whole or not at all.

    Raises:
        DownloadError: An archive did not come.
        DataDownloadError: It is damaged, holds what leads out of its folder, or counts differ.
    """
    root.mkdir(parents=True, exist_ok=True)
    unpacked = root / f".{entry.name}.unpacking"
    shutil.rmtree(unpacked, ignore_errors=True)  # of a call that was interrupted
    paths = [_archive(entry, name, root) for name in entry.files]
    try:
        for path in paths:
            _unpack(path, unpacked)
        _check_counts(entry, unpacked)
        shutil.rmtree(unpacked / "__MACOSX", ignore_errors=True)  # an archiver's own files
        taken = [root / made.name for made in unpacked.iterdir() if (root / made.name).exists()]
        if taken:
            raise DataDownloadError(f"{taken[0]} is there already; move it, or choose another root")
        for made in sorted(unpacked.iterdir()):
            made.replace(root / made.name)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    for path in paths:
        path.unlink()


def _list() -> int:
    lines = []
    parts = {part: entry for entry in archives().values() for part in entry.sets}
    for path in sorted(_SETS.glob("*.yaml")):
        of = _released(path)
        count = f"{of['count']} images: " if "count" in of else ""
        way = of.get("hint", "see docs/data.md")
        if path.stem in parts:
            way = f"finecut data get {parts[path.stem].name}"
        lines.append(f"{path.stem}: {count}{way}")
    print("\n".join(lines))
    return 0


def _entry(name: str) -> Archives:
    by_name = {entry.name.lower(): entry for entry in archives().values()}
    if found := by_name.get(name.lower()):
        return found
    path = next((p for p in _SETS.glob("*.yaml") if p.stem.lower() == name.lower()), None)
    if path is None:
        raise CommandError(f"{name}: no set that finecut knows; finecut data lists them")
    of = _released(path)
    part = next((e.name for e in archives().values() if path.stem in e.sets), None)
    if part:
        raise CommandError(f"{name}: it comes with {part}: finecut data get {part}")
    place = ""
    if "images" in of and "masks" in of:
        images, masks = (of[kind][0] for kind in ("images", "masks"))
        place = f": the images into data.root/{images}, the masks into data.root/{masks}"
    raise DataDownloadError(
        f"{path.stem}: finecut knows no archive of its authors. Get it from "
        f"{of.get('hint', 'its page, see docs/data.md')} and put it there{place}"
    )


def _released(path: Path) -> dict[str, Any]:
    """Folders, count and page of a set; what its yaml does not say is left out."""
    of: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    folder: dict[str, Any] = of.get("folder", of)
    for kind in ("images", "masks"):
        if isinstance(folder.get(kind), str):
            folder[kind] = [folder[kind]]
    return folder


def _accept(entry: Archives, accepted: bool) -> None:
    """Print the terms; go on where they are accepted."""
    terms: TrainingSet = training_sets()[entry.sets[0]]
    print(f"{terms.name}, {terms.page}")
    print(f"Terms: {terms.terms or 'none that we found; see its page'}")
    print(f"Commercial use: {terms.commercial}")
    if accepted:
        return
    if not sys.stdin.isatty():
        raise CommandError("read the terms above; accept=true accepts them")
    if input("Do you accept them? [y/N] ").strip().lower() not in _YES:
        raise UserError("nothing was downloaded: the terms were not accepted")


def _archive(entry: Archives, name: str, root: Path) -> Path:
    path = root / _ARCHIVES / name
    known = remembered(path)
    checksum = Checksum("sha256", known) if known else None
    if path.is_file() and checksum and not checksum.matches(path):
        raise DataDownloadError(f"{path} is damaged or another file; remove it to get it anew")
    download(entry.files[name], path, checksum, _no_zip)
    if not known:
        print(f"{name}: no checksum is published; noted {remember(path)} in {note_of(path)}")
    return path


def _no_zip(path: Path) -> str | None:
    if zipfile.is_zipfile(path):
        return None
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "is a web page, of a quota or a login"
    return "is no zip archive, or an incomplete one"


def _unpack(path: Path, folder: Path) -> None:
    """Unpack a zip; nothing of it leaves the folder.

    Raises:
        DataDownloadError: A name leads out of the folder, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _refuse_odd(path, member)
            need = sum(member.file_size for member in archive.infolist())
            free = shutil.disk_usage(folder.parent).free
            if need > free:
                raise DataDownloadError(
                    f"{path} unpacks to {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
                    "make room, then run the same command again"
                )
            archive.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataDownloadError(f"{path} is damaged ({error}); remove it to get it anew") from error


def _refuse_odd(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if name.startswith("/") or ":" in name or ".." in PurePosixPath(name).parts or is_link:
        raise DataDownloadError(
            f"{path}: {member.filename!r} leads out of its folder; it is no archive of images"
        )


def _check_counts(entry: Archives, folder: Path) -> None:
    for name in entry.sets:
        of = _released(_SETS / f"{name}.yaml")
        for kind in ("images", "masks"):
            place = next((folder / p for p in of[kind] if (folder / p).is_dir()), None)
            if place is None:
                raise DataDownloadError(
                    f"{entry.name}: {name} is not in the archive where it was released: none of "
                    f"{', '.join(of[kind])}. The archive is kept: unpack it yourself"
                )
            found = sum(1 for _ in files_below(place))
            if found != of["count"]:
                raise DataDownloadError(
                    f"{entry.name}: {found} {kind} of {name}, and {of['count']} were released. "
                    "The archive is kept; remove it to get it anew"
                )
