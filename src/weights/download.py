"""Downloads a file so that an interruption costs nothing and a wrong file is never kept."""

import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple

from filelock import FileLock
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from src.errors import UserError
from src.hashing import file_hash

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_TIMEOUT = 30.0
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416


class DownloadError(UserError):
    """A transfer that did not happen, broke, or brought another file than expected."""


class Checksum(NamedTuple):
    """What a file's content must hash to; `algorithm` is `sha256` or `md5`."""

    algorithm: str
    digest: str

    def matches(self, path: Path) -> bool:
        return file_hash(path, self.algorithm) == self.digest


def download(url: str, target: Path, checksum: Checksum | None = None) -> Path:
    """Fetch `url` into `target` and return it.

    The bytes gather in `<target>.part`, which a later call continues; the file gets its name only
    when it is complete and has its checksum. Processes that ask at once share one transfer.

    Raises DownloadError: no connection, a broken transfer (the part is kept), a wrong checksum
    (the part is removed).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if target.is_file():
            return target
        part = target.with_name(f"{target.name}.part")
        try:
            _transfer(url, part)
        except (OSError, HTTPException) as error:
            raise DownloadError(f"{url}: {error}") from error
        if checksum and not checksum.matches(part):
            part.unlink()
            raise DownloadError(
                f"{url}: its {checksum.algorithm} is not {checksum.digest}; removed it. "
                "The source changed, or something on the way answered in its place"
            )
        part.replace(target)
    return target


def _transfer(url: str, part: Path) -> None:
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            # Either all of it is here already, or the part is of another file.
            if (error.headers.get("Content-Range") or "").endswith(f"/{have}"):
                return
            part.unlink()
            return _transfer(url, part)
        raise OSError(f"the server answered {error.code} {error.reason}") from error
    with response:
        # A server that knows no ranges sends the whole file again.
        start = have if response.status == _PARTIAL else 0
        expected = response.headers.get("Content-Length")
        total = start + int(expected) if expected else None
        with part.open("ab" if start else "wb") as file:
            _copy(response, file, part.name.removesuffix(".part"), start, total)
    have = part.stat().st_size
    if total is not None and have < total:
        raise OSError(f"the transfer broke at {have} of {total} bytes; call again to continue it")


def _copy(source: IO[bytes], file: IO[bytes], name: str, start: int, total: int | None) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(name, total=total, completed=start)
        for block in _blocks(source):
            file.write(block)
            progress.advance(task, len(block))


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block
