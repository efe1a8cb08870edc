"""Reads checkpoints, torch's and safetensors: plain data only, whole, finite, and each file once.

What a file brings is checked here and nowhere else. Everything wrong with it is a WeightsError of
one line: the file's name, what it is, and what to do.
"""

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from src.errors import UserError
from src.hashing import remember
from src.weights.file_checks import (
    DamagedError,
    check_pickle,
    is_safetensors,
    not_a_checkpoint,
    verified_hashes,
)
from src.weights.metadata import Metadata, MetadataError, metadata_of
from src.weights.model_folder import CONFIG, ENTRY, read_config
from src.weights.registry import RegistryError, locate, published_at, released_at

# Wrappers that training code leaves in front of the network's own names.
_PREFIX = re.compile(r"^(?:module\.|model\.|network\.|_orig_mod\.)+")
_NESTS = ("state_dict", "model_state_dict", "model", "net")
_DEEPEST = 4
_HEAD = 16  # bytes that tell a file of safetensors
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
# Beside `state_dict`: what Lightning's averaging of weights goes on from.
_OTHER_WEIGHTS = ("current_model_state",)


# What `verify` read, by the file and its state. A run that is resumed has two at a time: its own
# newest checkpoint and that of its ground-truth encoder.
_Version = tuple[str, int, int, int]
_MOST_KEPT = 2
_kept: "dict[_Version, Checkpoint]" = {}


class WeightsError(UserError):
    """A checkpoint that does not fit the network, or cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was read: checked, and nothing in it resolved or built.

    path: The file.
    sha256: Of the file.
    content: All of it, as torch.load gives it.
    state: The bare state dict in it.
    metadata: What it says of its network; None for files that are not ours.
    """

    path: Path
    sha256: str
    content: Mapping[str, Any]
    state: Mapping[str, Tensor]
    metadata: Metadata | None


def read_checkpoint(source: str | Path, *, contents: bool = False) -> Checkpoint:
    """Read a checkpoint, given its path or its name in the registry, which downloads it.

    The file is opened once: its checksums are compared and its hash is made in the same pass,
    and remembered for `file_hash`.

    Args:
        source: The path or the name.
        contents: Keep what lies beside the weights, such as the state of the optimizer.

    Raises:
        WeightsError: No such file, no checkpoint, a damaged one, one whose weights are not finite
            or of no kind that networks have, or metadata that is missing or not believed.
    """
    path = _located(source)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        found = _kept.pop(_version(path, status), None)
        if found is None:
            sha256 = _verified(path, file, status)
            content = _loaded(path, file)
            state = _state(path, content)
            found = Checkpoint(path, sha256, content, state, _metadata(path, content))
    return found if contents else replace(found, content={})


def verify(path: Path) -> Checkpoint:
    """Read a checkpoint with all its contents and keep it for `read_checkpoint`, which takes it.

    Two are kept at most; the one that was verified first makes room. Until it is taken, asking
    again reads nothing.

    Raises:
        WeightsError: As `read_checkpoint`.
    """
    try:
        version = _version(path, path.stat())
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    if version not in _kept:
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[version] = read_checkpoint(path, contents=True)
    return _kept[version]


def read_outline(source: str | Path) -> Checkpoint:
    """A checkpoint's metadata and the shapes of its weights, whose values are not read from disk.

    For a command that decides by them and leaves the weights to another process; `sha256` is
    empty. Raises WeightsError as `read_checkpoint`, but for what only the values tell.
    """
    path = _located(source)
    with path.open("rb") as file:
        try:
            check_pickle(file)
        except DamagedError as error:
            raise WeightsError(f"{path} {error}; download or copy it again") from error
        file.seek(0)
        mapped = file.read(4) == b"PK\x03\x04"  # the layout of before PyTorch 1.6 cannot be
        content = _loaded(path, None if mapped else file)
    state = _state(path, content, values=False)
    return Checkpoint(path, "", {}, state, _metadata(path, content))


def bare_state(checkpoint: Mapping[Any, Any], depth: int = 0) -> dict[str, Tensor]:
    """The bare state dict inside `state_dict`-like nests and `module.`-like prefixes.

    Raises:
        WeightsError: There is none, or two entries are the same one.
    """
    for nest in _NESTS:
        if isinstance(inner := checkpoint.get(nest), Mapping) and depth < _DEEPEST:
            return bare_state(inner, depth + 1)
    tensors = {
        key: value
        for key, value in checkpoint.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise WeightsError("the checkpoint holds no tensors; is it a state dict?")
    bare = {_PREFIX.sub("", key): value for key, value in tensors.items()}
    if len(bare) < len(tensors):
        raise WeightsError("the checkpoint holds one entry twice, with and without a prefix")
    return bare


def check_tensors(state: Mapping[str, Tensor], *, values: bool = True) -> None:
    """Refuse tensors that no network of ours has, by the name of the first.

    Args:
        state: A state dict.
        values: Look at the values too: NaN and infinity are refused. Integers have none.

    Raises:
        WeightsError: The name and what is wrong.
    """
    stored: dict[int, int] = {}
    total = 0
    for name, tensor in state.items():
        if kind := _unusual(tensor):
            raise WeightsError(f"{_short(name)} is {kind}, which no network of ours has")
        storage = tensor.untyped_storage()
        stored[storage.data_ptr()] = storage.nbytes()
        size = tensor.numel() * tensor.element_size()
        total += size
        # Repeated elements and shared memory make much of few bytes.
        if size > storage.nbytes() or total > 4 * sum(stored.values()) + (1 << 20):
            shape = "×".join(map(str, tensor.shape))
            raise WeightsError(f"{_short(name)} is {shape} values, more than the file holds")
    if values:
        for name, tensor in state.items():
            if tensor.dtype in _FLOATS and tensor.numel() and not _is_finite(tensor):
                raise WeightsError(
                    f"{_short(name)} is not finite (NaN or infinity); the training went wrong or "
                    "the file is damaged: take an earlier checkpoint, or download it again"
                )


def _unusual(tensor: Tensor) -> str | None:
    if tensor.layout is not torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_nested or tensor.device.type != "cpu":
        return f"a tensor without values (on {tensor.device.type})"
    if tensor.dtype not in _FLOATS + _INTEGERS:
        return f"of {str(tensor.dtype).removeprefix('torch.')} numbers"
    return None


def _version(path: Path, status: os.stat_result) -> _Version:
    return str(path.absolute()), status.st_ino, status.st_size, status.st_mtime_ns


def _is_finite(tensor: Tensor) -> bool:
    low, high = torch.aminmax(tensor.detach())  # NaN wins in both
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _located(source: str | Path) -> Path:
    try:
        path = locate(source)
    except RegistryError as error:
        raise WeightsError(str(error)) from error
    try:
        if reason := not_a_checkpoint(path):
            entry = released_at(path)
            if entry and entry.checksum and not entry.checksum.matches(path):
                reason = entry.damaged(path).removeprefix(f"{path} ")
            raise WeightsError(f"{path} {reason}")
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    return path


def _verified(path: Path, file: IO[bytes], status: os.stat_result) -> str:
    """The SHA-256 of a file that is what was written, and released where it was downloaded."""
    entry = published_at(path)
    algorithms = {"sha256", entry.checksum.algorithm if entry and entry.checksum else "sha256"}
    try:
        digests = verified_hashes(file, algorithms)
    except DamagedError as error:
        raise WeightsError(
            f"{path} {error}; download or copy it again, or take the checkpoint before it"
        ) from error
    for algorithm, digest in digests.items():
        remember(status, digest, algorithm)
    entry = released_at(path)  # what is noted at first use is known by now, and not read again
    checksum = entry.checksum if entry else None
    if entry and checksum and digests[checksum.algorithm] != checksum.digest:
        raise WeightsError(entry.damaged(path))
    return digests["sha256"]


def _loaded(path: Path, file: IO[bytes] | None) -> Mapping[str, Any]:
    """What a file holds, as plain data: read from an open file, or mapped into memory."""
    with path.open("rb") as beginning:
        if is_safetensors(beginning.read(_HEAD)):
            return _from_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused by name
            if file is None:
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            else:
                file.seek(0)
                content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        raise _unreadable(path, error) from error
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, not a state dict; save the weights with "
            "torch.save(network.state_dict(), FILE)"
        )
    return content


def _from_safetensors(path: Path) -> Mapping[str, Any]:
    """The weights in a file of safetensors, and what a config.json beside them says of them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is damaged ({str(error)[:200]}); download or copy it again"
        ) from error
    try:
        config = read_config(path) or {}
    except UserError as error:
        raise WeightsError(str(error)) from error
    return {"state_dict": state, ENTRY: config.get(ENTRY)}


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = str(error)
    if named := _GLOBAL.search(reason):
        return WeightsError(
            f"{path}: not a readable checkpoint: it holds an object of {named[1]}, which could run "
            "code; load it where it comes from and save the weights alone, "
            "torch.save(network.state_dict(), FILE)"
        )
    first = (reason.splitlines() or [type(error).__name__])[0]
    return WeightsError(
        f"{path}: not a readable checkpoint ({first[:200]}); download it again, or save it with "
        "torch.save(network.state_dict(), FILE)"
    )


def _state(path: Path, content: Mapping[str, Any], *, values: bool = True) -> dict[str, Tensor]:
    try:
        state = bare_state(content)
        check_tensors(state, values=values)
        for key in _OTHER_WEIGHTS:
            if isinstance(other := content.get(key), Mapping):
                check_tensors(
                    {f"{key}.{n}": t for n, t in other.items() if isinstance(t, Tensor)},
                    values=values,
                )
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return state


def _metadata(path: Path, content: Mapping[str, Any]) -> Metadata | None:
    try:
        return metadata_of(content)
    except MetadataError as error:
        said_in = path.with_name(CONFIG) if read_config(path) else path
        raise WeightsError(f"{said_in} {error}") from None


def _short(name: str) -> str:
    return name if len(name) <= 120 and name.isprintable() else f"{name[:120]!r}"
