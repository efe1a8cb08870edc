"""Fetches a file by the library for its place: the Hugging Face Hub, Google Drive, a plain link.

huggingface_hub, gdown and pooch transfer; what all three need is here: one transfer for several
processes, parts that a later call continues, and a file that appears checked and whole or not at
all.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from src.errors import UserError, is_full
from src.hashing import bytes_hash, file_hash

_BLOCK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_RETRIES = 3
_NAME = "file"  # within the folder of parts
_PARTIAL, _RANGE_NOT_SATISFIABLE = 206, 416
# Answers of servers that give files and tell nothing of them; some sign links for GET alone.
_NO_HEAD = (403, 405, 501)
_HUB = re.compile(
    r"https://huggingface\.co/(?:(?P<kind>dataset|space)s/)?(?P<repo>[^/]+/[^/]+)"
    r"/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)"
)
_DRIVE = re.compile(r"https://drive\.google\.com/(?:file/d/|(?:uc|open)\?id=)(?P<id>[\w-]+).*")


class DownloadError(UserError):
    """A transfer that did not happen, broke, or brought another file than expected."""


class Checksum(NamedTuple):
    """What a file's content must hash to; `algorithm` is `sha256` or `md5`."""

    algorithm: str
    digest: str

    def matches(self, path: Path) -> bool:
        return file_hash(path, self.algorithm) == self.digest


def is_offline() -> bool:
    """Whether FINECUT_OFFLINE forbids downloads."""
    return os.environ.get("FINECUT_OFFLINE", "0") not in ("", "0")


def download(
    url: str,
    target: Path,
    checksum: Checksum | None = None,
    refuse: Callable[[Path], str | None] | None = None,
    shown: bool = True,
) -> Path:
    """Fetch `url` into `target` and return it.

    The bytes gather in the folder `<target>.parts`; the file gets its name only when it is
    complete and checked. Processes that ask at once share one transfer. A broken transfer is
    taken up again within the call, and on Drive and plain links by a later call too;
    huggingface_hub keeps no parts between calls.

    Args:
        url: A file on huggingface.co (HF_ENDPOINT names a mirror), a file on Google Drive that
            everybody may read, or a plain link.
        target: The file; one that is there is returned as it is.
        checksum: What it must hash to.
        refuse: Says what a file is that cannot be the one wanted ("is a web page …"), or None.
        shown: With a bar, which processes in the background leave out.

    Raises:
        DownloadError: Offline, no connection, a broken transfer (its parts are kept), a page in
            place of the file, a wrong checksum (both are removed).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if target.is_file():
            return target
        if is_offline():
            raise DownloadError(f"{url}: FINECUT_OFFLINE is set")
        parts = target.with_name(f"{target.name}.parts")
        # Parts of two places may be of two files.
        place = parts / bytes_hash(url.encode())[:8]
        place.mkdir(parents=True, exist_ok=True)
        try:
            path = _transferred(url, place, target.name, shown)
        except Exception as error:  # the libraries and what they stand on raise a dozen kinds
            if is_full(error):
                raise
            raise DownloadError(f"{url}: {_line(error)}") from error
        reason = refuse(path) if refuse else None
        if reason is None and checksum and not checksum.matches(path):
            reason = f"does not have the {checksum.algorithm} {checksum.digest}"
        if reason is not None:
            shutil.rmtree(place)
            raise DownloadError(f"{url}: what came {reason}. Removed it")
        path.replace(target)
        shutil.rmtree(parts)
    return target


def hub_file(
    repo: str, name: str, cache: Path, revision: str | None = None, *, may_lack: bool = False
) -> Path | None:
    """A file of a model on the Hugging Face Hub, in a cache as huggingface_hub keeps it.

    A branch is asked for its newest commit each time, unless offline; what is there already of
    that commit is not fetched again. The folder of the file is named by the commit.

    Args:
        repo: `user/name`.
        name: Of the file.
        cache: The folder of the cache.
        revision: A branch, a tag or a commit; None for the main branch.
        may_lack: None where the model has no such file, instead of an error.

    Raises:
        DownloadError: No such model or revision, a model that asks for a login, no connection.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    said = f"hf:{repo}{f'@{revision}' if revision else ''}"
    try:
        found = hf_hub_download(
            repo,
            name,
            revision=revision,
            cache_dir=cache,
            endpoint=_mirror(),
            local_files_only=is_offline(),
        )
    except LocalEntryNotFoundError as error:  # first: it is an EntryNotFoundError too
        if may_lack and is_offline():
            return None
        why = "FINECUT_OFFLINE is set" if is_offline() else _line(error)
        raise DownloadError(f"{said}: {name} is not here yet, and cannot be fetched ({why})") from (
            error
        )
    except EntryNotFoundError as error:
        if may_lack:
            return None
        raise DownloadError(f"{said} has no {name}; is it a model of another kind?") from error
    except GatedRepoError as error:
        raise DownloadError(
            f"{said} asks for its terms to be accepted: do that on its page, and set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"{said}: there is no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"{said}: no such model on the Hub, or a private one: HF_TOKEN lets you in"
        ) from error
    except Exception as error:  # the libraries below raise a dozen kinds
        if is_full(error):
            raise
        raise DownloadError(f"{said}: {_line(error)}") from error
    return Path(found)


def _mirror() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def remote_size(url: str) -> int | None:
    """The bytes of a file behind a plain link; None where the server does not say.

    Raises:
        DownloadError: Offline, no connection, or no such file.
    """
    if is_offline():
        raise DownloadError(f"{url}: FINECUT_OFFLINE is set")
    if _HUB.fullmatch(url) or _DRIVE.fullmatch(url):
        return None
    import requests

    try:
        headers = {"Accept-Encoding": "identity"}
        response = requests.head(url, headers=headers, timeout=_TIMEOUT, allow_redirects=True)
        if response.status_code in _NO_HEAD:
            return None
        response.raise_for_status()
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_line(error)}") from error
    said = response.headers.get("Content-Length", "")
    return int(said) if said.isdigit() else None


def _transferred(url: str, folder: Path, name: str, shown: bool) -> Path:
    if found := _HUB.fullmatch(url):
        return _from_hub(found, folder)
    with _bar(name, shown) as bar:
        if found := _DRIVE.fullmatch(url):
            return _from_drive(found["id"], folder / _NAME, bar)
        return _from_link(url, folder / _NAME, bar)


def _from_hub(found: re.Match[str], folder: Path) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(
        hf_hub_download(
            found["repo"],
            found["file"],
            repo_type=found["kind"],
            revision=found["revision"],
            local_dir=folder,
            endpoint=_mirror(),
        )
    )


def _from_drive(identifier: str, path: Path, bar: "_Bar") -> Path:
    import gdown
    from gdown.exceptions import DownloadError as BrokenOffError
    from gdown.exceptions import FileURLRetrievalError

    def fetched() -> Path:
        gdown.download(
            id=identifier,
            output=str(path),
            quiet=True,
            resume=True,
            progress=bar.at,
            timeout=_TIMEOUT,
            retries=_RETRIES,
        )
        return path

    have = _size_below(path.parent)
    try:
        return fetched()
    except FileURLRetrievalError as error:
        raise OSError(_drive_page(str(error))) from error
    except BrokenOffError as error:
        # It refuses parts that the server does not continue: of another version, or complete.
        if error.__cause__ is not None or not have or _size_below(path.parent) != have:
            raise
    for part in path.parent.iterdir():
        part.unlink()
    return fetched()


def _drive_page(message: str) -> str:
    """What Google's page said, out of gdown's error of several lines."""
    text = " ".join(message.split())
    text = text.removeprefix("Failed to retrieve file url:").partition("You may still be")[0]
    return f"Google Drive did not give the file: {text.strip()}"


def _from_link(url: str, path: Path, bar: "_Bar") -> Path:
    # Again and again, as long as each time bytes come.
    while True:
        have = path.stat().st_size if path.is_file() else 0
        try:
            _continue_link(url, path, have, bar)
            return path
        except OSError as error:  # requests' are
            response = getattr(error, "response", None)
            if response is not None and response.status_code == _RANGE_NOT_SATISFIABLE and have:
                # Either all of it is here already, or the part is of another file.
                if (response.headers.get("Content-Range") or "").endswith(f"/{have}"):
                    return path
                path.unlink()
            elif not path.is_file() or path.stat().st_size <= have or is_full(error):
                raise


def _continue_link(url: str, path: Path, have: int, bar: "_Bar") -> None:
    """One request of pooch's, for what is not in the file yet."""
    from pooch import HTTPDownloader

    # Which version the part is of; the server sends another one whole.
    version = path.with_name(f"{path.name}.version")
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version.is_file():
            headers["If-Range"] = version.read_text(encoding="latin-1")

    with path.open("ab") as file:

        def begin(response: Any, *_: Any, **__: Any) -> None:
            if response.is_redirect or not response.ok:
                return
            known = response.headers.get("ETag") or ""
            known = known if not known.startswith("W/") else ""
            known = known or response.headers.get("Last-Modified") or ""
            version.write_text(known, encoding="latin-1") if known else version.unlink(True)
            if response.status_code == _PARTIAL:
                bar.start(have)
            else:  # a server that knows no ranges, or another version
                file.truncate(0)
                bar.start(0)

        HTTPDownloader(
            progressbar=bar,
            chunk_size=_BLOCK,
            timeout=_TIMEOUT,
            headers=headers,
            hooks={"response": begin},
        )(url, _Appended(file, bar), None)


class _Appended:
    """A file as pooch writes to it, which moves the bar by what was written."""

    def __init__(self, file: IO[bytes], bar: "_Bar") -> None:
        self.file, self.bar = file, bar

    def write(self, block: bytes) -> None:
        self.file.write(block)
        self.bar.advance(len(block))

    def flush(self) -> None:
        self.file.flush()


class _Bar:
    """A bar as pooch and gdown fill it: of bytes, with what an earlier call brought."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)
        self._start = 0

    def at(self, done: int, total: int | None) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def start(self, done: int) -> None:
        self._start = done
        self._progress.update(self._task, completed=done)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)

    @property
    def total(self) -> int:
        return 0

    @total.setter
    def total(self, rest: int) -> None:  # pooch's: 0 where the server does not say
        self._progress.update(self._task, total=self._start + rest if rest else None)

    def update(self, count: int) -> None:
        """Nothing: pooch counts whole blocks."""

    def reset(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: the bar goes away by itself."""


@contextmanager
def _bar(name: str, shown: bool) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield _Bar(progress, name)


def _size_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
