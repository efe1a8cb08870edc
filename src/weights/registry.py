"""The released checkpoints by name: where they are, what is known of them, what they have seen."""

import difflib
import logging
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from src.atomic import atomic_write
from src.download import Checksum, DownloadError, download, is_offline
from src.errors import UserError
from src.hashing import file_hash
from src.weights.file_checks import not_a_checkpoint
from src.weights.model_folder import CONFIG, HUB, WEIGHTS, weights_on_hub

log = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\n]+)\n")
_LONGEST = 4096  # bytes of a note; whatever is longer is none
_SUFFIX = re.compile(r"\.(?:pth|safetensors)$")


class FirstUseError(UserError):
    """The note beside a file cannot be read, so that nothing says what the file has to be."""


def note_of(path: Path) -> Path:
    """Where the checksum of a file is noted."""
    return path.with_name(f"{path.name}.sha256")


def remembered(path: Path) -> str | None:
    """The SHA-256 that was noted of a file, in hex; None where nothing was.

    Raises:
        FirstUseError: The note is damaged.
    """
    note = note_of(path)
    try:
        with note.open("rb") as file:
            text = file.read(_LONGEST).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FirstUseError(_damaged(note, path)) from error
    found = _LINE.fullmatch(text)
    if found is None or found["name"] != path.name:
        raise FirstUseError(_damaged(note, path))
    return found["digest"]


def remember(path: Path) -> str:
    """Note the SHA-256 of a complete file beside it, and return it.

    In a folder that cannot be written to nothing is noted, which a warning says.
    """
    digest, note = file_hash(path), note_of(path)
    try:
        atomic_write(note, f"{digest}  {path.name}\n")
    except OSError as error:
        log.warning("%s cannot be written (%s): %s is used unverified", note, error.strerror, path)
    return digest


def _damaged(note: Path, path: Path) -> str:
    return (
        f"{note} is damaged: it should hold the sha256 of {path.name}. Remove it where you trust "
        "the file beside it, or both to get the file anew"
    )


class RegistryError(UserError):
    """A name or path that leads to no checkpoint; the message says what to do."""


class Released(NamedTuple):
    """A checkpoint as its authors released it; None is "not stated in any source we found".

    `made_with` holds names and values of arguments of the network that it was trained with, where
    those are a matter of the file and not of the model.
    """

    name: str
    model: str
    file: str
    purpose: str
    page: str
    code_license: str | None
    weights_license: str | None
    trained_on: tuple[str, ...] | None
    drive: str | None = None
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    source: str | None = None
    aliases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    made_with: tuple[tuple[str, str], ...] = ()

    @property
    def license(self) -> str | None:
        """Of the weights, and where none is stated of the code they come with; in words."""
        if self.weights_license or self.code_license is None:
            return self.weights_license
        return f"{self.code_license} (of the code; none stated for the weights)"

    @property
    def sources(self) -> tuple[str, ...]:
        """Where it is downloaded from, in that order."""
        return (*self.urls, self.drive) if self.drive else self.urls

    @property
    def checksum(self) -> Checksum | None:
        if self.sha256:
            return Checksum("sha256", self.sha256)
        return Checksum("md5", self.md5) if self.md5 else None

    def damaged(self, path: Path) -> str:
        """The message for a file of this name that is not the released one."""
        algorithm, digest = self.checksum or ("checksum", "known")
        return (
            f"{path} is damaged or another file: its {algorithm} is not {digest} "
            f"({self.source}). Remove it to get it anew, or give its path elsewhere"
        )


@cache
def released() -> dict[str, Released]:
    """Every checkpoint of `registry.yaml` by its name."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("registry.yaml").read_text(encoding="utf-8")
    )
    return {name: Released(name=name, **_frozen(entry)) for name, entry in entries.items()}


def find(name: str) -> Released | None:
    """The checkpoint of that name, alias or file name, with or without suffix; None if unknown."""
    return _by_name().get(_key(name))


def resolve(name_or_path: str | Path) -> Path:
    """The file of a checkpoint: a local path as it is, the weights in the folder of a model or of
    one on the Hub (`hf:user/name`), else the registry's, downloaded if needed.

    Downloads go to the folder `FINECUT_WEIGHTS`, or ~/.cache/finecut; `FINECUT_OFFLINE=1` forbids
    them. A file there is compared with its published checksum; where there is none, with what it
    hashed to when it was first used. Raises RegistryError for what is neither, and for what
    cannot be downloaded: it says where to get the file and where to put it.
    """
    path = locate(name_or_path)
    entry = released_at(path)
    if entry is not None and entry.checksum and not entry.checksum.matches(path):
        raise RegistryError(entry.damaged(path))
    return path


def locate(name_or_path: str | Path) -> Path:
    """As `resolve`, but a file that is there already is not read."""
    if (text := str(name_or_path)).startswith(HUB):
        try:
            return weights_on_hub(text, cache_folder())
        except UserError as error:
            raise RegistryError(str(error)) from error
    path = Path(name_or_path).expanduser()
    try:
        if path.is_file():
            return path
        folder = path.is_dir()
        if folder and (path / WEIGHTS).is_file():
            return path / WEIGHTS
    except (OSError, ValueError) as error:  # a name that cannot be one
        raise RegistryError(f"{str(path)[:200]!r}: no such checkpoint file ({error})") from error
    entry = find(str(name_or_path))
    if entry is None and folder and (path / CONFIG).is_file():
        raise RegistryError(f"{path} has no {WEIGHTS} beside its {CONFIG}; download it whole")
    if entry is None and folder:
        raise RegistryError(f"{path} is a folder; give the file of the weights{_inside(path)}")
    if entry is None:
        raise RegistryError(f"{path}: no such checkpoint file{hint(str(name_or_path))}")
    target = place_of(entry)
    if target.is_file():
        return target
    path = _fetched(target, _as_first_used(entry, target))
    if not entry.checksum:  # what came is noted at once
        digest = _as_first_used(entry, path).sha256
        log.info("no checksum of %s is published; noted its sha256 %s", entry.file, digest)
    return path


def released_at(path: Path) -> Released | None:
    """What a file in the folder of downloads has to be; None for files elsewhere.

    Where its authors publish no checksum, it has to be what it was when it was first used.
    """
    entry = published_at(path)
    return None if entry is None else _as_first_used(entry, path)


def published_at(path: Path) -> Released | None:
    """The entry of a file in the folder of downloads, with what its authors publish of it alone."""
    entry = find(path.name)
    return entry if entry and path == place_of(entry) else None


def _as_first_used(entry: Released, path: Path) -> Released:
    """The entry of a file, with the checksum that is noted beside it where none is published.

    What has no note yet gets one, if it is there.
    """
    if entry.checksum:
        return entry
    digest = remembered(path)
    if digest is None and path.is_file():
        digest = remember(path)
    note = note_of(path)
    return entry._replace(sha256=digest, source=f"noted in {note} when it was first used")


def identify(path: Path, sha256: str) -> Released | None:
    """Which released checkpoint a file is: by its hash, else by its name; None for others.

    A name says nothing where the file of exactly this name is known to be another one.
    """
    for entry in released().values():
        if sha256 in (entry.sha256, *entry.also):
            return entry
    named = find(path.name)
    is_another = named is not None and named.sha256 and named.file == path.name
    return None if is_another else named


def cache_folder() -> Path:
    """Where downloaded checkpoints lie."""
    return Path(os.environ.get("FINECUT_WEIGHTS") or "~/.cache/finecut").expanduser()


def place_of(entry: Released) -> Path:
    """Where a released file lies once it was downloaded."""
    return cache_folder() / entry.file


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry's values as such that can be members of sets, as checkpoints are."""
    lists = {key: [*v.items()] if isinstance(v, dict) else v for key, v in entry.items()}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in lists.items()}


def _key(name: str) -> str:
    return _SUFFIX.sub("", name.lower())


@cache
def _by_name() -> dict[str, Released]:
    return {
        _key(key): entry
        for entry in released().values()
        for key in (entry.file, *entry.aliases, entry.name)
    }


def _fetched(target: Path, entry: Released) -> Path:
    if is_offline():
        raise RegistryError(_by_hand(entry, target, "FINECUT_OFFLINE is set"))
    errors = []
    for url in entry.sources:
        try:
            return download(url, target, entry.checksum, not_a_checkpoint)
        except DownloadError as error:
            errors.append(str(error))
    if (note := note_of(target)).is_file():
        errors.append(f"{note} is of an earlier download: remove it if the authors' file is new")
    raise RegistryError(_by_hand(entry, target, "; ".join(errors)))


def _by_hand(entry: Released, target: Path, reason: str) -> str:
    places = (*entry.sources, entry.page)
    return (
        f"{entry.name}: cannot be downloaded ({reason}).\n"
        f"  Get {entry.file} with a browser from one of\n"
        + "".join(f"    {place}\n" for place in places)
        + f"  and put it at {target}, or give its path instead of the name."
    )


def _inside(folder: Path) -> str:
    """Which file of a folder may be meant."""
    for pattern in ("checkpoints/best.ckpt", "best.ckpt", "checkpoints/*.ckpt", "*.ckpt", "*.pth"):
        if found := sorted(folder.glob(pattern)):
            return f", such as {found[-1]}"
    return " in it"


def hint(name: str) -> str:
    close = difflib.get_close_matches(_key(name), _by_name(), n=3)
    named = ", ".join(dict.fromkeys(_by_name()[match].name for match in close))
    known = f" (did you mean {named}?)" if named else ""
    return (
        "; give the path of a .pth, .ckpt, .safetensors or .onnx, the folder of a model, "
        f"hf:user/name, or a name of the registry{known}: finecut models lists them"
    )
