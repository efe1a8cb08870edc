"""The index of a set of tar shards: which samples they hold, and where in them each one lies.

`index.json` lies beside the shards, which are plain WebDataset tars: `<key>.jpg` beside
`<key>.mask.png`. With it a sample is read from its offset, as from a file of its own, so that
order, sharding and resuming are those of a folder; without it a reader can only go through a shard
from its beginning.
"""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.atomic import atomic_write
from src.datamodules.file_kinds import IMAGE_KINDS
from src.errors import UserError

INDEX = "index.json"
MASK = "mask."  # in front of a mask's extension
_BLOCK = 512  # bytes of a tar's headers, and what its members are filled up to
_AGAIN = "copy the shards and their index again, or write them anew with finecut data shard"
_EXTENSIONS = frozenset(suffix[1:] for kind in IMAGE_KINDS.values() for suffix in kind.suffixes)

_Count = Annotated[int, Field(ge=0)]


class ShardError(UserError):
    """A shard that is missing, cut, or not the one that the index lists.

    Unlike an image that cannot be decoded, it is never replaced by others (`data.on_error=skip`):
    that would be training on less data without saying so.
    """


class Member(NamedTuple):
    """A file within a shard.

    extension: Of its name, in lower case, without the dot.
    offset: Of its first byte, from the beginning of the shard.
    size: In bytes.
    crc: CRC-32 of its bytes.
    """

    extension: str
    offset: _Count
    size: _Count
    crc: _Count


class ShardSample(NamedTuple):
    """A sample of a shard.

    name: What results call the image.
    item: Its place in the set, which is not the order in which samples are written.
    set: Of several joined sets, the one that it is from.
    """

    name: str
    item: _Count
    set: str
    image: Member
    mask: Member


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Shard(_Model):
    """One tar file.

    Attributes:
        file: Its name.
        count: Samples in it.
        size: In bytes.
        sha256: Of the whole file.
        samples: In the order in which they lie in it.
    """

    file: str
    count: _Count
    size: _Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: list[ShardSample]


class ShardIndex(_Model):
    """What `index.json` holds.

    Attributes:
        count: Samples of all shards.
        soft: The masks are mattes.
        allow_empty: Masks without any foreground were accepted.
        data: The fingerprint of the files, which is that of the folders they were read from.
        shards: In the order of their names.
    """

    format: Literal["finecut shards 1"] = "finecut shards 1"
    count: _Count
    soft: bool
    allow_empty: bool
    data: dict[str, Any]
    shards: list[Shard]

    def write(self, path: Path) -> None:
        """Write the file whole or not at all, a line for each sample."""
        atomic_write(path, _in_lines(self))


def key_of(name: str) -> str:
    """The key of a sample in its tar.

    WebDataset ends a key at the first dot of the file's name and passes over names that begin with
    `__`, so that dots of a name are escaped, as URLs escape signs.
    """
    key = name.replace("%", "%25").replace(".", "%2E")
    return f"%5F{key[1:]}" if key.startswith("_") else key


def parse_index(content: bytes, where: str) -> ShardIndex:
    """Read an index.

    Args:
        content: Of the file.
        where: Its path or address, for messages.

    Raises:
        ShardError: It is no index, or what it lists contradicts itself; one line.
    """
    try:
        index = ShardIndex.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = f"{place}: {first['msg']}" if place else first["msg"]
        raise ShardError(f"{where} is no index of shards, or damaged ({said}); {_AGAIN}") from None
    if fault := _fault(index):
        raise ShardError(f"{where}: {fault}; {_AGAIN}")
    return index


def _fault(index: ShardIndex) -> str | None:
    """What an index says that cannot be so."""
    if not index.shards:
        return "it lists no shards"
    files = [shard.file for shard in index.shards]
    if len(set(files)) < len(files):
        return "it lists a shard twice"
    for shard in index.shards:
        if shard.count != len(shard.samples):
            listed = len(shard.samples)
            return f"it says that {shard.file} has {shard.count} samples and lists {listed}"
        if fault := _shard_fault(shard):
            return fault
    listed = sum(shard.count for shard in index.shards)
    if listed != index.count:
        return f"it says that there are {index.count} samples and lists {listed}"
    items = sorted(sample.item for shard in index.shards for sample in shard.samples)
    if items != list(range(len(items))):
        return "the places of its samples are not 0, 1, 2 …, each once"
    return None


def _shard_fault(shard: Shard) -> str | None:
    # The name becomes part of a path and of an address.
    if not re.fullmatch(r"[\w-][\w.-]*\.tar", shard.file):
        return f"{shard.file!r} is no name of a shard"
    end = 0
    for sample in shard.samples:
        if not sample.name or ".." in PurePosixPath(sample.name).parts or sample.name[0] == "/":
            return f"{shard.file}: {sample.name!r} is no name of an image"
        for member in sorted((sample.image, sample.mask), key=lambda one: one.offset):
            if member.offset < end + _BLOCK or member.offset % _BLOCK:
                return f"{shard.file}: the files of {sample.name} overlap others"
            end = member.offset + member.size
        extensions = sample.image.extension, sample.mask.extension
        if not set(extensions) <= _EXTENSIONS:
            return f"{shard.file}: {sample.name} is of no kind that is read ({extensions})"
    if end > shard.size:
        return f"{shard.file} is said to have {shard.size} bytes, and files up to byte {end}"
    return None


def _in_lines(index: ShardIndex) -> str:
    """JSON that people can read and compare: a line for each shard and for each sample."""
    head = index.model_dump(exclude={"shards"})
    shards = []
    for shard in index.shards:
        samples = ",\n".join(json.dumps(sample, ensure_ascii=False) for sample in shard.samples)
        fields = json.dumps(shard.model_dump(exclude={"samples"}))[:-1]
        shards.append(f'{fields}, "samples": [\n{samples}\n]}}')
    listed = ",\n".join(shards)
    return f'{json.dumps(head)[:-1]}, "shards": [\n{listed}\n]}}\n'
