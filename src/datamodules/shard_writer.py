"""`finecut data shard`: writes a set of image and mask files as tar shards with an index.

The tars are WebDataset's, written by its own writer, and hold the files byte for byte. Samples are
written in a shuffled order, so that a few shards that are read together are a fair part of the set.
"""

import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from omegaconf import DictConfig
from pydantic import ValidationError

from src.atomic import atomic_path
from src.cache import key_of_files
from src.datamodules.file_facts import mask_faults, without_faults
from src.datamodules.pairs import (
    DataError,
    ImageMaskPair,
    files_of,
    fingerprint,
    index_sets,
    join_sets,
)
from src.datamodules.shard_index import (
    INDEX,
    MASK,
    Member,
    Shard,
    ShardIndex,
    ShardSample,
    key_of,
    parse_index,
)
from src.datamodules.sources import TarShards, parse_sources, require_root
from src.errors import CommandError, UserError, missing_extra
from src.hashing import file_hash, value_hash
from src.paths import cache_folder
from src.progress import track
from src.resume_log import ResumeLog
from src.settings.commands import ShardSettings
from src.settings.parse import parse_part, plain, require_data
from src.settings.schema import parse_flag

_LOG = ".unfinished.jsonl"  # the shards that are done; removed with the last one
_LOCK = ".lock"
_PLAN = "plan"
_BLOCK = 512


class Rule(NamedTuple):
    """How masks were judged, which the index says.

    soft: They are mattes.
    allow_empty: They may be all black.
    """

    soft: bool
    allow_empty: bool


def main(cfg: DictConfig) -> int:
    """Write the shards that a config asks for; returns the exit code."""
    settings = parse_part(ShardSettings, cfg)
    require_data(cfg)
    _require_writer()
    pairs, rule = sound_pairs(cfg.data, settings.split)
    output = Path(settings.output).expanduser()
    index = write_shards(
        *(pairs, rule, output, settings.split),
        largest=int(settings.shard_mb * 1e6),
        most=settings.per_shard,
        seed=settings.seed,
    )
    size = sum(shard.size for shard in index.shards) / 1e9
    print(f"{output}: {index.count} samples in {len(index.shards)} shards, {size:.2f} GB")
    use = settings.split if settings.split in ("train", "val") else f"test.{settings.split}"
    print(f"they are read by data=shards data.{use}.shards={output}, or the URL they are copied to")
    return 0


def sound_pairs(data: DictConfig, split: str) -> tuple[list[ImageMaskPair], Rule]:
    """The pairs of a split, in the order in which training has them, after its checks.

    Args:
        data: A config of `conf/data`.
        split: `train`, `val` or the name of a test set.

    Raises:
        CommandError: The split is none of image and mask files.
        DataError: With everything that is wrong with the files.
    """
    given = plain(data)
    tests = given.get("test")
    named = split if split in ("train", "val") else "test"
    node = given.get(named)
    targets = [node, *node.values()] if isinstance(node, dict) else [node]
    if "train" not in given or any(isinstance(one, dict) and "_target_" in one for one in targets):
        raise CommandError("data= is not a set of image and mask files: only those are sharded")
    sources = parse_sources(node, named)
    if named == "test":
        if split not in sources:
            known = ", ".join(["train", "val", *parse_sources(tests, "test")])
            raise CommandError(f"split={split}: the sets of this data are {known}")
        sources = {split: sources[split]}
    if not sources:
        raise CommandError(f"split={split}: this data names no such set; set data.{named}")
    if any(isinstance(source, TarShards) for source in sources.values()):
        raise CommandError(f"split={split}: this set is in shards already")
    require_root(given.get("root"), sources.values())
    # What is scored is never left out, and a test image may well show nothing.
    on_error = str(given.get("on_error", "stop")) if named == "train" else "stop"
    empty = named == "test" or parse_flag(given.get("allow_empty", False))
    rule = Rule(parse_flag(given.get("soft", False)), empty)
    problems: list[str] = []
    pairs = join_sets(index_sets(given.get("root"), sources, on_error, problems))
    faults = mask_faults(pairs, cache_folder(given.get("cache_dir")), empty, rule.soft)
    pairs = without_faults(pairs, faults, on_error, problems)
    if problems:
        raise DataError(split, problems)
    return pairs, rule


def write_shards(
    pairs: Sequence[ImageMaskPair],
    rule: Rule,
    output: Path,
    prefix: str,
    largest: int,
    most: int | None = None,
    seed: int = 0,
) -> ShardIndex:
    """Write the shards `<prefix>-000000.tar …` of some pairs and their `index.json`.

    Each file appears whole or not at all, the index last. A call that was interrupted is continued
    by the same call; shards that are complete are left as they are.

    Args:
        pairs: In the order of the set.
        rule: How their masks were judged.
        output: Folder, made where it is not there.
        prefix: Of the names of the shards.
        largest: Bytes of a shard, unless one sample has more.
        most: Samples of a shard; None: any number.
        seed: Of the order in which samples are written.

    Raises:
        UserError: The folder holds something else, the disk has no room, or a file changed.
    """
    name = _file_name(prefix)
    plan = plan_shards(pairs, largest, most, seed)
    key = value_hash([key_of_files(files_of(pairs)), _names(pairs), plan, name, rule])
    output.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / _LOCK, timeout=0):
            try:
                if (output / INDEX).is_file():
                    return _require_same(output, pairs, rule, plan)
                files = [f"{name}-{number:06d}.tar" for number in range(len(plan))]
                return _write(pairs, rule, output, files, plan, key)
            finally:
                (output / _LOCK).unlink()  # the folder is copied elsewhere as it is
    except Timeout:
        raise UserError(f"another process writes shards into {output}; wait for it") from None


def plan_shards(
    pairs: Sequence[ImageMaskPair], largest: int, most: int | None, seed: int
) -> list[list[int]]:
    """Which pairs go into which shard: a shuffled order, cut where a shard is full."""
    plan: list[list[int]] = []
    room = 0
    for item in np.random.default_rng(seed).permutation(len(pairs)).tolist():
        needed = sum(_BLOCK + _filled_up(size) for size in pairs[item].sizes())
        if not plan or needed > room or (most is not None and len(plan[-1]) >= most):
            plan.append([])
            room = largest
        plan[-1].append(item)
        room -= needed
    return plan


def _filled_up(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _file_name(prefix: str) -> str:
    name = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in prefix)
    return name.strip("-") or "set"


def _names(pairs: Sequence[ImageMaskPair]) -> list[str]:
    names = [pair.name for pair in pairs]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{name!a}: its name is not UTF-8, which the index has to be; rename it"
            ) from None
    return names


def _require_writer() -> None:
    try:
        import webdataset  # noqa: F401
    except ImportError:
        raise missing_extra("writing shards needs webdataset", "shards") from None


def _write(
    pairs: Sequence[ImageMaskPair],
    rule: Rule,
    output: Path,
    files: Sequence[str],
    plan: Sequence[Sequence[int]],
    key: str,
) -> ShardIndex:
    done = ResumeLog(output / _LOG)
    _require_own(output, done, key, files)
    known = {number: _finished(done, output, file) for number, file in enumerate(files)}
    missing = [number for number, shard in known.items() if shard is None]
    _require_room(pairs, output, [item for number in missing for item in plan[number]])
    if done.get(_PLAN) is None:
        done.add(_PLAN, {"plan": key})
    items = [(number, item) for number in missing for item in plan[number]]
    for number, group in groupby(track(items, "writing samples", len(items)), lambda one: one[0]):
        shard = _write_shard(output / files[number], pairs, (item for _, item in group))
        done.add(shard.file, {"shard": shard.model_dump()})
        known[number] = shard
    shards = [shard for shard in known.values() if shard is not None]
    index = ShardIndex(
        count=len(pairs),
        soft=rule.soft,
        allow_empty=rule.allow_empty,
        data=fingerprint(pairs),
        shards=shards,
    )
    index.write(output / INDEX)
    done.remove()
    return index


def _write_shard(path: Path, pairs: Sequence[ImageMaskPair], items: Iterator[int]) -> Shard:
    """Write a shard, read it back, and describe it."""
    from webdataset import TarWriter

    written: list[tuple[int, str, str, int, int]] = []
    with atomic_path(path) as unfinished:
        with (
            unfinished.open("wb") as stream,
            # Names of any length and script; the same bytes whenever and by whomever written.
            TarWriter(
                stream, user="", group="", mode=0o644, encoder=False, mtime=0, format="PAX_FORMAT"
            ) as tar,
        ):
            for item in items:
                pair = pairs[item]
                image, mask = pair.image.read_bytes(), pair.mask.read_bytes()
                if (len(image), len(mask)) != pair.sizes():
                    raise UserError(f"{pair.image} or its mask changes while it is read")
                extensions = pair.image.suffix[1:].lower(), pair.mask.suffix[1:].lower()
                sample = {extensions[0]: image, f"{MASK}{extensions[1]}": mask}
                tar.write({"__key__": key_of(pair.name), **sample})
                written.append((item, *extensions, zlib.crc32(image), zlib.crc32(mask)))
        samples = _read_back(unfinished, pairs, written)
        return Shard(
            file=path.name,
            count=len(samples),
            size=unfinished.stat().st_size,
            sha256=file_hash(unfinished),
            samples=samples,
        )


def _read_back(
    path: Path,
    pairs: Sequence[ImageMaskPair],
    written: Sequence[tuple[int, str, str, int, int]],
) -> list[ShardSample]:
    """Where the files of a shard lie, which are compared with what was written."""
    samples = []
    with tarfile.open(path, "r:") as tar:
        members = {member.name: member for member in tar}

        def found(name: str, extension: str, crc: int) -> Member:
            member = members[name]
            file = tar.extractfile(member)
            assert file is not None  # a plain file
            if zlib.crc32(file.read()) != crc:
                raise UserError(f"{path}: {name} is not what was written; is the disk sound?")
            return Member(extension, member.offset_data, member.size, crc)

        for item, image, mask, of_image, of_mask in written:
            pair, key = pairs[item], key_of(pairs[item].name)
            samples.append(
                ShardSample(
                    *(pair.name, item, pair.set),
                    found(f"{key}.{image}", image, of_image),
                    found(f"{key}.{MASK}{mask}", mask, of_mask),
                )
            )
    return samples


def _finished(done: ResumeLog, output: Path, file: str) -> Shard | None:
    """A shard of an interrupted call, if it is still what was written then."""
    entry, path = done.get(file), output / file
    try:
        shard = None if entry is None else Shard.model_validate_json(json.dumps(entry["shard"]))
    except (ValidationError, KeyError):
        return None
    if shard is None or not path.is_file() or path.stat().st_size != shard.size:
        return None
    return shard


def _require_own(output: Path, done: ResumeLog, key: str, files: Sequence[str]) -> None:
    begun = done.get(_PLAN)
    others = sorted(path.name for path in output.glob("*.tar"))
    if begun is not None and begun.get("plan") != key:
        raise UserError(
            f"{output} holds the beginning of other shards (of other files, or by other settings);"
            " remove it, or choose another output="
        )
    if begun is None and others:
        raise UserError(f"{output} holds {others[0]}, no shard of these; choose another output=")
    if strange := [name for name in others if name not in files]:
        raise UserError(f"{output} holds {strange[0]}, no shard of these; choose another output=")


def _require_same(
    output: Path, pairs: Sequence[ImageMaskPair], rule: Rule, plan: Sequence[Sequence[int]]
) -> ShardIndex:
    """The index that is there, if it is of these shards and nothing has changed since."""
    path = output / INDEX
    index = parse_index(path.read_bytes(), str(path))
    there = [[sample.item for sample in shard.samples] for shard in index.shards]
    same = index.data == fingerprint(pairs) and (index.soft, index.allow_empty) == tuple(rule)
    if not same or there != [list(items) for items in plan]:
        raise UserError(f"{output} holds other shards; choose another output=")
    written = path.stat().st_mtime
    for file in files_of(pairs):
        if file.stat().st_mtime > written:
            raise UserError(f"{file} changed after {output} was written; choose another output=")
    return index


def _require_room(pairs: Sequence[ImageMaskPair], output: Path, items: Sequence[int]) -> None:
    needed = sum(_BLOCK + _filled_up(size) for item in items for size in pairs[item].sizes())
    free = shutil.disk_usage(output).free
    if needed > free:
        raise UserError(
            f"{output}: the shards take {needed / 1e9:.2f} GB, where {free / 1e9:.2f} GB are free;"
            " make room, or choose another output="
        )
