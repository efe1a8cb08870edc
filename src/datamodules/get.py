"""`finecut data`: gets the data sets that their authors offer as archives, terms first.

For other sets it prints their page and where to put them.
"""

import gzip
import os
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from src.download import Checksum, download
from src.errors import CommandError, UserError
from src.paths import CONF, files_below
from src.weights.licenses import training_sets
from src.weights.registry import note_of, remember, remembered

HELP = """\
finecut data                               lists the sets: what can be got, and the pages of others
finecut data get DIS5K data.root=FOLDER    prints the terms, asks, downloads, checks and unpacks
finecut data get DUTS accept=true          … without asking, into FINECUT_DATA
finecut data shard data=… output=FOLDER    writes a set as tar shards; --help says more"""
_SETS = CONF / "data" / "sets"
_YES = ("y", "yes")
# What zipfile and tarfile raise of content that is none, or of a compression they do not know.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
_ARCHIVES = ".archives"  # in the root: downloads, and the checksums that were noted of them


class DataDownloadError(UserError):
    """A data set that did not come, or is not what its authors released."""


class Archive(NamedTuple):
    """One file that authors offer; `checksum` is None where none is known."""

    name: str
    url: str
    checksum: Checksum | None = None


class Archives(NamedTuple):
    """Archives of one data set; the fields are explained in `archives.yaml`."""

    name: str
    files: tuple[Archive, ...]
    source: str
    sets: tuple[str, ...]
    terms: tuple[str, ...] = ()
    unpack_into: str = "."
    take: dict[str, str] = {}  # noqa: RUF012  # a NamedTuple's default, never changed
    counts: dict[str, int] = {}  # noqa: RUF012
    also: tuple[str, ...] = ()


@cache
def archives() -> dict[str, Archives]:
    """The sets that can be got, by their names."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("archives.yaml").read_text(encoding="utf-8")
    )
    return {
        name: Archives(**{**entry, "name": name, "files": _files(entry["files"])})
        for name, entry in entries.items()
    }


def _files(entries: dict[str, dict[str, str]]) -> tuple[Archive, ...]:
    kinds = ("sha256", "md5")
    return tuple(
        Archive(
            name,
            entry["url"],
            next((Checksum(kind, entry[kind]) for kind in kinds if kind in entry), None),
        )
        for name, entry in entries.items()
    )


def main(words: Sequence[str]) -> int:
    """List or get data sets; returns the exit code."""
    action, rest = (words[0], words[1:]) if words else ("list", [])
    if action == "list" and not rest:
        return _list()
    if action != "get":
        raise CommandError(
            f"finecut data {action}: it is one of list, get, shard; --help says more"
        )
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
    print(f"{entry.name}: {', '.join(entry.sets or entry.counts)} in {root}, counts as released")
    for other in entry.also:
        print(f"data= may want {other} too: finecut data get {other}")
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
    paths = [_get_archive(file, root) for file in entry.files]
    try:
        for path in paths:
            _unpack(path, unpacked / entry.unpack_into)
        of_archiver = unpacked / entry.unpack_into / "__MACOSX"
        shutil.rmtree(of_archiver, ignore_errors=True)
        made = _taken(entry, unpacked)
        _check_counts(entry, made)
        there = [root / one.name for one in made.iterdir() if (root / one.name).exists()]
        if there:
            raise DataDownloadError(f"{there[0]} is there already; move it, or choose another root")
        for one in sorted(made.iterdir()):
            one.replace(root / one.name)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    for path in paths:
        path.unlink()


def _list() -> int:
    lines = []
    parts = {part: entry for entry in archives().values() for part in entry.sets}
    for path in sorted(_SETS.glob("*.yaml")):
        pairs = _pairs(_released(path))
        total = sum(pair.get("count", 0) for pair in pairs)
        count = f"{total} images: " if total else ""
        way = next((pair["hint"] for pair in pairs if "hint" in pair), "see docs/data.md")
        if path.stem in parts:
            way = f"finecut data get {parts[path.stem].name}"
        lines.append(f"{path.stem}: {count}{way}")
    lines += [
        f"{entry.name}: {sum(entry.counts.values())} images: finecut data get {entry.name}"
        for entry in archives().values()
        if not entry.sets
    ]
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
    pairs = _pairs(of)
    places = "; ".join(
        f"the images into data.root/{images}, the masks into data.root/{masks}"
        for images, masks in ((pair["images"][0], pair["masks"][0]) for pair in pairs)
    )
    hint = next((pair["hint"] for pair in pairs if "hint" in pair), "its page, see docs/data.md")
    raise DataDownloadError(
        f"{path.stem}: finecut knows no archive of its authors. Get it from {hint} and put it there"
        + (f": {places}" if places else "")
    )


def _released(path: Path) -> dict[str, Any]:
    of: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return of


def _pairs(of: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs of folders of a set: places of images and masks, count, names, hint."""
    folder: dict[str, Any] = of.get("folder", of)
    several = [one for one in folder.values() if isinstance(one, dict) and "images" in one]
    pairs = several or ([folder] if "images" in folder and "masks" in folder else [])
    return [
        {**pair, **{k: [pair[k]] for k in ("images", "masks") if isinstance(pair[k], str)}}
        for pair in pairs
    ]


def _accept(entry: Archives, accepted: bool) -> None:
    """Print the terms; go on where they are accepted."""
    for terms in dict.fromkeys(training_sets()[name] for name in (*entry.sets, *entry.terms)):
        print(f"{terms.name}, {terms.page}")
        print(f"Terms: {terms.terms or 'none that we found; see its page'}")
        print(f"Commercial use: {terms.commercial}")
    if accepted:
        return
    if not sys.stdin.isatty():
        raise CommandError("read the terms above; accept=true accepts them")
    if input("Do you accept them? [y/N] ").strip().lower() not in _YES:
        raise UserError("nothing was downloaded: the terms were not accepted")


def _get_archive(file: Archive, root: Path) -> Path:
    path = root / _ARCHIVES / file.name
    known = None if file.checksum else remembered(path)
    checksum = file.checksum or (Checksum("sha256", known) if known else None)
    if path.is_file() and checksum and not checksum.matches(path):
        raise DataDownloadError(f"{path} is damaged or another file; remove it to get it anew")
    download(file.url, path, checksum, _no_archive)
    if not checksum:
        print(f"{file.name}: no checksum is published; noted {remember(path)} in {note_of(path)}")
    return path


def _no_archive(path: Path) -> str | None:
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return None
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "is a web page, of a quota or a login"
    return "is no zip or tar archive, or an incomplete one"


def _unpack(path: Path, folder: Path) -> None:
    """Unpack a zip or a tar; nothing of it leaves the folder.

    Raises:
        DataDownloadError: A name leads out of the folder, the archive is damaged, or the disk is
            too small for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    _refuse_odd(path, member)
                _require_room(path, sum(member.file_size for member in archive.infolist()), folder)
                archive.extractall(folder)
        else:
            with tarfile.open(path) as tar:
                _require_room(path, sum(member.size for member in tar.getmembers()), folder)
                tar.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise DataDownloadError(_odd(path, error.tarinfo.name)) from error
    except _DAMAGED as error:
        raise DataDownloadError(f"{path} is damaged ({error}); remove it to get it anew") from error


def _require_room(path: Path, need: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if need > free:
        raise DataDownloadError(
            f"{path} unpacks to {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
            "make room, then run the same command again"
        )


def _refuse_odd(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if name.startswith("/") or ":" in name or ".." in PurePosixPath(name).parts or is_link:
        raise DataDownloadError(_odd(path, member.filename))


def _odd(path: Path, name: str) -> str:
    return f"{path}: {name!r} leads out of its folder; it is no archive of images"


def _taken(entry: Archives, unpacked: Path) -> Path:
    """The folder whose content goes into the root: all, or what is taken of it."""
    if not entry.take:
        return unpacked
    made = unpacked / ".taken"
    for inside, place in entry.take.items():
        if not (unpacked / inside).is_dir():
            raise DataDownloadError(
                f"{entry.name}: there is no {inside} in the archive, where it was released. "
                "The archive is kept: unpack it yourself"
            )
        (made / place).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / inside).replace(made / place)
    return made


def _check_counts(entry: Archives, folder: Path) -> None:
    for place, count in entry.counts.items():
        if not (folder / place).is_dir():
            raise DataDownloadError(_absent(entry, entry.name, place))
        _compare_count(entry, place, sum(1 for _ in files_below(folder / place)), count)
    for name in entry.sets:
        for pair in _pairs(_released(_SETS / f"{name}.yaml")):
            pattern = pair.get("names", "*")
            for kind in ("images", "masks"):
                there = next((p for p in pair[kind] if (folder / p).is_dir()), None)
                if there is None:
                    raise DataDownloadError(_absent(entry, name, ", ".join(pair[kind])))
                files = (path for path in files_below(folder / there) if path.match(pattern))
                _compare_count(entry, f"{kind} of {name}", sum(1 for _ in files), pair["count"])


def _absent(entry: Archives, name: str, places: str) -> str:
    return (
        f"{entry.name}: {name} is not in the archive where it was released: none of {places}. "
        "The archive is kept: unpack it yourself"
    )


def _compare_count(entry: Archives, what: str, found: int, released: int) -> None:
    if found != released:
        raise DataDownloadError(
            f"{entry.name}: {found} {what}, and {released} were released. "
            "The archive is kept; remove it to get it anew"
        )
