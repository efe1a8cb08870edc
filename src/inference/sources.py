"""Which files are read, and where what is made of them goes."""

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from src.datamodules.file_kinds import Kind, how_to_read, is_video, kind_of, label_of
from src.errors import UserError


class Source(NamedTuple):
    """A file to read and its name below the output folder, without a suffix."""

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        return is_video(self.path)


class Inputs(NamedTuple):
    """What an input holds.

    sources: The files that are read.
    missed: How many images and videos of kinds that are not read were left out, by suffix.
    others: How many files of other kinds were; texts and the like are not counted.
    """

    sources: list[Source]
    missed: Counter[str]
    others: Counter[str]

    @property
    def left_out(self) -> str:
        """`3 .cr2, 1 .pdf`, and the command after which files among them are read."""
        counts = (*sorted(self.missed.items()), *sorted(self.others.items()))
        listed = ", ".join(f"{count} {kind}" for kind, count in counts)
        return f"{listed} ({self.advice})" if self.advice else listed

    @property
    def advice(self) -> str | None:
        """How images that were left out can be read; None where there is no way."""
        return how_to_read(set(self.missed))


def find_sources(
    wanted: str | Path | Sequence[str | Path], *, recursive: bool = True
) -> list[Source]:
    """The sources of `find_inputs`."""
    return find_inputs(wanted, recursive=recursive).sources


def find_inputs(
    wanted: str | Path | Sequence[str | Path],
    *,
    recursive: bool = True,
    output: Path | None = None,
    allow_empty: bool = False,
) -> Inputs:
    """The images and videos of a file, a folder, a glob pattern, or several of them.

    A file that is asked for by its own name is read whatever its suffix. Linked folders are
    followed; hidden files and folders are left out.

    Results are named after their files without the suffix. Files that would share a name so keep
    their suffix in it, so that no two results are one.

    Args:
        output: A folder inside of an input folder that is not read: it holds results.
        allow_empty: Nothing there is no error, as where files are still to come.

    Raises:
        UserError: Nothing there, an output folder that is the input folder itself, or two files
            whose results would be one.
    """
    words = [wanted] if isinstance(wanted, str | Path) else list(wanted)
    found: dict[Path, tuple[Path, Path]] = {}  # path and name by the path with its links followed
    left: dict[Kind, dict[Path, str]] = {"unread image": {}, "other": {}}
    real = _resolver()
    for word in words:
        root, files = _expand(Path(word).expanduser(), recursive, output)
        for path, kind in files:
            if kind == "read":
                found.setdefault(real(path), (path, path.relative_to(root)))
            elif kind != "beside":
                left[kind][real(path)] = label_of(path)
        if not allow_empty and not any(kind != "beside" for _, kind in files):
            raise UserError(f"input {word}: no image or video there")
    missed, others = Counter(left["unread image"].values()), Counter(left["other"].values())
    inputs = Inputs(_named(list(found.values())), missed, others)
    if not inputs.sources and not allow_empty:
        raise UserError(
            f"input {', '.join(map(str, words))}: no image or video there that can be read, but "
            f"{inputs.left_out}{'' if inputs.advice else '; convert images to JPEG or PNG'}"
        )
    return inputs


def _named(found: Sequence[tuple[Path, Path]]) -> list[Source]:
    _refuse_one_name(found)
    names = [name.with_suffix("") for _, name in found]
    while True:
        counts = Counter(map(folded, names))
        # A whole name may be another file's without its suffix: that one keeps its suffix then.
        clashing = [
            i for i, name in enumerate(names) if counts[folded(name)] > 1 and name != found[i][1]
        ]
        if not clashing:
            return [Source(path, name) for (path, _), name in zip(found, names, strict=True)]
        for i in clashing:
            names[i] = found[i][1]


def folded(name: Path) -> str:
    """Alike for names that are one on a file system that ignores case or composes accents."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _refuse_one_name(found: Iterable[tuple[Path, Path]]) -> None:
    """Refuse `a/1.jpg` beside `b/1.jpg` where `a` and `b` are both given."""
    first: dict[Path, Path] = {}
    for path, name in found:
        if (other := first.setdefault(name, path)) is not path:
            raise UserError(
                f"input: {other} and {path} would have the same result; give the folder above "
                "both, or each an output= of its own"
            )


def _expand(
    wanted: Path, recursive: bool, output: Path | None
) -> tuple[Path, list[tuple[Path, Kind]]]:
    """The folder that names are relative to, and the files with what they are."""
    wanted = _as_stored(wanted)
    if wanted.is_file():
        return wanted.parent, [(wanted, "read")]
    if wanted.is_dir():
        root, paths = wanted, _files_below(wanted, recursive)
    elif glob.has_magic(str(wanted)):
        parts = wanted.parts
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        root = Path(*parts[:fixed])
        try:
            matches = list(root.glob("/".join(parts[fixed:])))
        except ValueError as error:
            raise UserError(f"input {wanted}: no pattern that can be read: {error}") from None
        paths = (path for path in matches if _is_plain(path))
    else:
        raise UserError(f"input {wanted}: no such file or folder")
    if output is not None:
        paths = _outside(paths, root, output)
    return root, [(path, kind_of(path)) for path in sorted(paths)]


def _as_stored(path: Path) -> Path:
    """The path as its disk writes it: an accent is one sign or two, which look the same."""
    if os.path.lexists(path) or path.parent == path:
        return path
    parent = _as_stored(path.parent)
    if parent.is_dir():
        wanted = unicodedata.normalize("NFC", path.name)
        for entry in parent.iterdir():
            if unicodedata.normalize("NFC", entry.name) == wanted:
                return entry
    return path


def _outside(paths: Iterable[Path], root: Path, output: Path) -> Iterator[Path]:
    """The paths that are not below an output folder inside of their root."""
    real, target = _resolver(), output.resolve()
    if target == root.resolve():
        raise UserError(
            f"output={output} is the folder of the input itself, where results would lie "
            f"among originals; choose another, such as {output / 'results'}"
        )
    inside = root.resolve() in target.parents
    return (path for path in paths if not inside or target not in real(path).parents)


def _files_below(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files of a folder, linked folders followed once; hidden files and folders left out.

    Raises:
        OSError: A folder that may not be read.
    """
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(
            name
            for name in folders
            if recursive
            and not name.startswith((".", "__MACOSX"))
            and os.path.realpath(Path(parent, name)) not in seen
        )
        yield from (path for name in files if _is_plain(path := Path(parent, name)))


def _is_plain(path: Path) -> bool:
    """A file that is not hidden; a link to nothing, too: what it is is said when it is read."""
    hidden = path.name.startswith(".")
    return not hidden and (path.is_file() or (path.is_symlink() and not path.exists()))


def _raise(error: OSError) -> None:
    raise error


def _resolver() -> Callable[[Path], Path]:
    """Resolves the folders of paths, each once; a link in the last place stays."""
    folders: dict[Path, Path] = {}

    def resolve(path: Path) -> Path:
        parent = path.parent
        if parent not in folders:
            folders[parent] = parent.resolve()
        return folders[parent] / path.name

    return resolve
