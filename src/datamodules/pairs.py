"""Which image belongs to which mask: folders paired by stem, or a table; all faults at once."""

import csv
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from src.datamodules.file_kinds import is_image_name
from src.datamodules.images import EXTENSIONS, ImageError, read_header
from src.datamodules.shard_index import MASK, Member, ShardError
from src.datamodules.shard_set import SHARD_ADVICE, ShardSet
from src.datamodules.sources import CsvTable, FolderPair, Source, TarShards
from src.errors import UserError
from src.hashing import bytes_hash
from src.paths import files_below

log = logging.getLogger(__name__)

# Header reads wait for the disk or the network far more than for a core.
_READERS = 16
_SHOWN = 200


class Packed(NamedTuple):
    """Where a pair lies that is no files of its own.

    shards: The set of shards that holds it.
    shard: Number of the shard in the index.
    image: The file in it.
    mask: The same.
    """

    shards: ShardSet
    shard: int
    image: Member
    mask: Member


class ImageMaskPair(NamedTuple):
    """One image with its mask; `name` is the path below the image folder, without extension.

    Of a pair in a shard the paths only name it, and `packed` says where it lies.
    """

    name: str
    image: Path
    mask: Path
    set: str = ""
    packed: Packed | None = None

    def contents(self) -> tuple[bytes | None, bytes | None]:
        """The bytes of image and mask of a pair in a shard; None: they are to be read by path.

        Raises:
            ShardError: The shard is missing or damaged.
        """
        if self.packed is None:
            return None, None
        shards, shard, image, mask = self.packed
        first, second = shards.read(shard, (image, mask))
        return first, second

    def sizes(self) -> tuple[int, int]:
        """Bytes of image and mask."""
        if self.packed is not None:
            return self.packed.image.size, self.packed.mask.size
        return self.image.stat().st_size, self.mask.stat().st_size


class Fault(NamedTuple):
    """What is wrong with the files of one name; the text starts with a path."""

    name: str
    text: str


class DataError(UserError):
    """Everything wrong with a data set, in one message with a count.

    Args:
        where: The data set.
        problems: One sentence each, starting with the path.
        advice: Last line of the message.
    """

    def __init__(self, where: str, problems: Sequence[str], advice: str = "") -> None:
        self.where, self.problems = where, list(problems)
        shown = "".join(f"\n  {problem}" for problem in self.problems[:_SHOWN])
        more = len(self.problems) - _SHOWN
        rest = f"\n  … and {more} more: finecut check lists all" * (more > 0)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(
            f"{where}: {len(self.problems)} {noun}{shown}{rest}{advice and chr(10)}{advice}"
        )


def scan_pairs(
    root: str | Path | None, source: Source, name: str
) -> tuple[list[ImageMaskPair], list[str]]:
    """List the sound pairs of a set in the order of their names, and what is wrong with others.

    Args:
        root: Folder that the source's paths start from; None for the working folder.
        source: Where the files are.
        name: The set's name.

    Raises:
        DataError: A folder or table is missing or unusable, so that nothing can be listed.
    """
    if isinstance(source, TarShards):
        pairs, faults = _read_shards(root, source, name), list[Fault]()
    else:
        pairs, faults = _match(Path(root or "").expanduser(), source, name)
    kept = [pair for pair in pairs if pair.name not in source.exclude]
    if len(kept) < len(pairs):
        log.info("%s: %d images left out", name, len(pairs) - len(kept))
    if isinstance(source, TarShards):  # headers were read when the shards were written
        found: list[Fault | None] = [None] * len(kept)
    else:
        with ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(partial(_header_fault, source), kept))
    sound = [pair for pair, fault in zip(kept, found, strict=True) if fault is None]
    faults += [fault for fault in found if fault is not None]
    problems = [_say(fault, source) for fault in faults if fault.name not in source.exclude]
    problems += wrong_count(len(pairs), source.count, "pairs")
    if not sound and not problems:
        problems.append(f"{source}: no pair of an image and a mask")
    return sound, problems


def wrong_count(found: int, expected: int | None, noun: str, key: str = "count") -> list[str]:
    """A problem where a set has another number of things than were released; else none.

    Args:
        found: How many there are.
        expected: How many were released; None where that is not known.
        noun: What is counted.
        key: Of the set in its config, which says how many are expected.
    """
    if expected in (None, found):
        return []
    return [
        f"{found} {noun} found, {expected} expected (an incomplete copy?); if yours differs on"
        f" purpose, set this set's {key} to {found} or null"
    ]


def index_pairs(
    root: str | Path | None, source: Source, name: str, on_error: str = "stop"
) -> list[ImageMaskPair]:
    """List the pairs of a set, sound by their headers.

    Args:
        root: Folder that the source's paths start from; None for the working folder.
        source: Where the files are.
        name: The set's name, for messages.
        on_error: `stop` at anything wrong, or `skip` what is with a warning. A missing folder or
            a set without any sound pair always stops.

    Raises:
        DataError: Folder missing, or files unpaired, doubled, empty, unreadable, or of another
            size than their partner, or not as many as released: all in one message.
    """
    pairs, problems = scan_pairs(root, source, name)
    if problems and (on_error == "stop" or not pairs):
        raise DataError(name, problems)
    for problem in problems:
        log.warning("%s: skipping: %s", name, problem)
    return pairs


def index_sets(
    root: str | Path | None, sources: Mapping[str, Source], on_error: str, problems: list[str]
) -> dict[str, list[ImageMaskPair]]:
    """List the pairs of several sets by name; what is wrong with them is added to `problems`."""
    found: dict[str, list[ImageMaskPair]] = {}
    for name, source in sources.items():
        try:
            found[name] = index_pairs(root, source, name, on_error)
        except DataError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    return found


def join_sets(sets: Mapping[str, Sequence[ImageMaskPair]]) -> list[ImageMaskPair]:
    """One list of all sets; names become `set/name` where there are several."""
    if len(sets) == 1:
        return [pair for pairs in sets.values() for pair in pairs]
    return [
        pair._replace(name=f"{name}/{pair.name}") for name, pairs in sets.items() for pair in pairs
    ]


def split_by_hash(
    pairs: Sequence[ImageMaskPair], share: float
) -> tuple[list[ImageMaskPair], list[ImageMaskPair]]:
    """Divide pairs into those kept and a share held out, by a hash of each name alone.

    The choice of an image depends on no other image, no seed and no machine. At least one is held
    out where the share is not zero.
    """
    if not share or not pairs:
        return list(pairs), []
    hashes = [zlib.crc32(pair.name.encode()) / 2**32 for pair in pairs]
    threshold = max(share, min(hashes) + 2**-32)
    kept = [pair for pair, value in zip(pairs, hashes, strict=True) if value >= threshold]
    held = [pair for pair, value in zip(pairs, hashes, strict=True) if value < threshold]
    return kept, held


def files_of(pairs: Iterable[ImageMaskPair]) -> Iterator[Path]:
    """Images and masks in turn."""
    return (path for pair in pairs for path in (pair.image, pair.mask))


def fingerprint(pairs: Sequence[ImageMaskPair]) -> dict[str, Any]:
    """Sets, count, and hashes of names and file sizes that are the same on every machine.

    `sha256` is of images and masks, `targets` of the masks alone, as a scorer of maps knows them.
    """

    def line(pair: ImageMaskPair) -> bytes:
        return f"{pair.set}/{pair.name}|{pair.sizes()}\n".encode()

    return {
        "sets": sorted({pair.set for pair in pairs}),
        "count": len(pairs),
        "sha256": bytes_hash(map(line, pairs)),
        "targets": _targets_hash((pair.name, pair.sizes()[1]) for pair in pairs),
    }


def targets_hash(targets: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 of the names and file sizes of ground-truth files, in the order of the names."""
    return _targets_hash((name, mask.stat().st_size) for name, mask in targets)


def _targets_hash(targets: Iterable[tuple[str, int]]) -> str:
    return bytes_hash(
        f"{name}|{size}\n".encode("utf-8", "surrogateescape") for name, size in sorted(targets)
    )


def _say(fault: Fault, source: Source) -> str:
    if fault.name not in source.known_faulty:
        return fault.text
    return (
        f"{fault.text} (a known fault of old copies: download the set again, or leave the image out"
        f" with this set's exclude=[{fault.name}])"
    )


def _match(
    base: Path, source: FolderPair | CsvTable, name: str
) -> tuple[list[ImageMaskPair], list[Fault]]:
    if isinstance(source, CsvTable):
        pairs, faults = _read_table(base, source, name)
    else:
        pairs, faults = _match_stems(base, source, name)
    return [pair._replace(set=name) for pair in pairs], faults


def _read_shards(root: str | Path | None, source: TarShards, name: str) -> list[ImageMaskPair]:
    """The pairs of an index in the order of the set. A shard that is missing or cut stops."""
    try:
        shards = ShardSet(source.place(root))
    except ShardError as error:
        raise DataError(name, [f"{error}{_advice(source.hint)}"]) from None
    if faults := shards.faults():
        raise DataError(name, faults, SHARD_ADVICE)
    found: dict[int, ImageMaskPair] = {}
    for number, shard in enumerate(shards.index.shards):
        for sample in shard.samples:
            found[sample.item] = ImageMaskPair(
                sample.name,
                shards.label(number, sample.name, sample.image.extension),
                shards.label(number, sample.name, f"{MASK}{sample.mask.extension}"),
                sample.set,
                Packed(shards, number, sample.image, sample.mask),
            )
    return [found[item] for item in range(len(found))]


def _match_stems(
    base: Path, source: FolderPair, name: str
) -> tuple[list[ImageMaskPair], list[Fault]]:
    image_folder = find_folder(base, source.images, source.hint, name)
    mask_folder = find_folder(base, source.masks, source.hint, name)
    shared = image_folder.resolve() == mask_folder.resolve()
    if shared and not (source.mask_suffix or source.mask_extension):
        advice = "images and masks in one folder need mask_suffix or mask_extension"
        raise DataError(name, [f"{image_folder}: {advice}"])

    def is_mask(path: Path) -> bool:
        if source.mask_extension and path.suffix.lower() != source.mask_extension.lower():
            return False
        return _stem(path, mask_folder, source.mask_suffix) is not None

    def is_image(path: Path) -> bool:
        return not (shared and is_mask(path))

    masks, faults = _by_stem(mask_folder, source.mask_suffix, source.names, is_mask)
    images, doubled = _by_stem(image_folder, source.image_suffix, source.names, is_image)
    faults += _unread(image_folder, images, source.image_suffix, source.names)
    faults += _unread(mask_folder, masks, source.mask_suffix, source.names) + doubled
    for stem in sorted(images.keys() - masks.keys()):
        lost = f"{mask_folder / stem}{source.mask_suffix}{source.mask_extension or '.*'}"
        faults.append(Fault(stem, f"{images[stem]}: no mask {lost}"))
    for stem in sorted(masks.keys() - images.keys()):
        lost = f"{image_folder / stem}{source.image_suffix}.*"
        faults.append(Fault(stem, f"{masks[stem]}: no image {lost}"))
    both = sorted(images.keys() & masks.keys())
    return [ImageMaskPair(stem, images[stem], masks[stem]) for stem in both], faults


def find_folder(base: Path, candidates: str | Sequence[str], hint: str, name: str) -> Path:
    """The first of a set's usual folders that is there.

    Args:
        base: Folder that the candidates are below.
        candidates: In the order in which they are looked for.
        hint: Where to get the set, for the message.
        name: The set's name.

    Raises:
        DataError: None is there; the message says where to get the set and where to put it.
    """
    folders = [base / Path(candidate).expanduser() for candidate in _several(candidates)]
    for folder in folders:
        if folder.is_dir():
            if folder != folders[0]:
                log.info("%s: found as %s", name, folder)
            return folder
    others = f" (nor {', nor '.join(map(str, folders[1:]))})" if folders[1:] else ""
    advice = _advice(hint) or " Set data.root, or the folders of images and masks themselves."
    raise DataError(name, [f"no folder {folders[0]}{others}.{advice}"])


def _advice(hint: str) -> str:
    return f" Get the set from {hint} and put it there." if hint else ""


def _by_stem(
    folder: Path, suffix: str, names: str, belongs: Callable[[Path], bool]
) -> tuple[dict[str, Path], list[Fault]]:
    """Image files below a folder by relative path without extension and suffix."""
    found: dict[str, Path] = {}
    faults = []
    for path in _image_files(folder):
        stem = _stem(path, folder, suffix)
        if stem is None or not fnmatchcase(stem, names) or not belongs(path):
            continue
        if stem in found:
            text = f"{path}: same stem as {found[stem].name}; keep one of them"
            faults.append(Fault(stem, text))
        else:
            found[stem] = path
    return found, faults


def _unread(folder: Path, found: Mapping[str, Path], suffix: str, names: str) -> list[Fault]:
    """Images of kinds that are not read, unless one that is read has the same name."""
    faults = []
    for path in files_below(folder):
        kind = path.suffix.lower()
        if kind in EXTENSIONS or not is_image_name(path):
            continue
        stem = _stem(path, folder, suffix)
        if stem is not None and fnmatchcase(stem, names) and stem not in found:
            text = f"{path}: {kind} is not read; convert it to PNG, JPEG or TIFF"
            faults.append(Fault(stem, text))
    return faults


def _stem(path: Path, folder: Path, suffix: str) -> str | None:
    """What image and mask have in common; None for a file without the suffix."""
    # An accent is one sign or two, which look the same.
    stem = normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
    return stem.removesuffix(suffix) if stem.endswith(suffix) else None


def _image_files(folder: Path) -> Iterable[Path]:
    return (path for path in files_below(folder) if path.suffix.lower() in EXTENSIONS)


def _read_table(base: Path, source: CsvTable, name: str) -> tuple[list[ImageMaskPair], list[Fault]]:
    path = base / Path(source.csv).expanduser()
    if not path.is_file():
        raise DataError(name, [f"no file {path}.{_advice(source.hint)}"])
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not {"image", "mask"} <= set(columns):
            raise DataError(name, [f"{path}: has columns {list(columns)}, needs image and mask"])
        rows = [(row["image"], row["mask"]) for row in reader]
    pairs: dict[str, ImageMaskPair] = {}
    faults = []
    for line, (image, mask) in enumerate(rows, start=2):
        stem = Path(image or "").with_suffix("").as_posix() if image else ""
        if not image or not mask:
            faults.append(Fault(stem, f"{path}, line {line}: image or mask is empty"))
        elif stem in pairs:
            text = f"{path}, line {line}: image {image} again, or another of its stem"
            faults.append(Fault(stem, text))
        else:
            pairs[stem] = ImageMaskPair(stem, path.parent / image, path.parent / mask)
    return list(pairs.values()), faults


def _header_fault(source: Source, pair: ImageMaskPair) -> Fault | None:
    try:
        image, mask = read_header(pair.image), read_header(pair.mask)
    except ImageError as error:
        return Fault(pair.name, str(error))
    (height, width), tags = image.size, (image.orientation, mask.orientation)
    turned = ""
    if tags[0] != tags[1]:
        turned = (
            f"the image's EXIF orientation is {tags[0]}, the mask's {tags[1]} (1 is upright and"
            " what a file without the tag has)"
        )
    if image.size != mask.size:
        sizes = f"{mask.size[1]}×{mask.size[0]}, but its image {pair.image} is {width}×{height}"
        return Fault(pair.name, f"{pair.mask}: {sizes}{turned and '; ' + turned}")
    # A quarter turn shows in the size; a half turn and a mirror do not.
    shown = height != width and (tags[0] >= 5) != (tags[1] >= 5)
    if not turned or shown or source.masks_upright:
        return None
    return Fault(
        pair.name,
        f"{pair.mask}: {turned}: does it lie on its image {pair.image}? If masks were drawn on the"
        " image as it is shown, set this set's masks_upright=true; if on the pixels as they are"
        " stored, remove the image's tag",
    )


def _several(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
