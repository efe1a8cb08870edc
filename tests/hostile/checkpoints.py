"""Makes checkpoints that are none, or that want what no checkpoint may: one mutation each.

Needs nothing of ours but a sound checkpoint to start from, `{"state_dict": …, "finecut": …}` of
the smallest network, isnet_gt_encoder of width 16.
"""

import copy
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

Content = dict[str, Any]
MARK = "FINECUT_HOSTILE_MARK"  # the variable with the path of a file that running code makes


class Case(NamedTuple):
    """A file to be refused: `write` makes it at a path."""

    name: str
    write: Callable[[Path], object]


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch ${MARK}",))


def cases(sound: Content) -> Iterator[Case]:
    """Every mutation of a sound checkpoint and every file that is none."""
    yield from _saved("metadata", sound, _metadata())
    yield from _saved("tensor", sound, _tensors())
    yield from _files(sound)


def _saved(
    group: str, sound: Content, mutations: Iterator[tuple[str, Callable[[Content], object]]]
) -> Iterator[Case]:
    for name, mutate in mutations:

        def write(path: Path, mutate: Callable[[Content], object] = mutate) -> None:
            content = copy.deepcopy(sound)
            changed = mutate(content)
            torch.save(content if changed is None else changed, path)

        yield Case(f"{group}: {name}", write)


def _put(where: str, value: Any) -> Callable[[Content], None]:
    """Set an entry of the metadata by its dotted key."""

    def mutate(content: Content) -> None:
        *parents, last = where.split(".")
        place: Any = content
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value

    return mutate


def _dropped(where: str) -> Callable[[Content], None]:
    def mutate(content: Content) -> None:
        *parents, last = where.split(".")
        for key in parents:
            content = content[key]
        del content[last]

    return mutate


_CODE = {"_target_": "os.system", "command": f"touch ${MARK}"}
_CREATE = "${oc.create:{_target_: os.system, command: 'touch $FINECUT_HOSTILE_MARK'}}"


def _metadata() -> Iterator[tuple[str, Callable[[Content], object]]]:
    keys = ("model", "network._target_", "network.width", "processor.scale", "inputs", "more")
    for key in keys:
        for value in ("${oc.env:HOME}", _CREATE, "${model.name}", "???"):
            yield f"{key} = {value[:20]}", _put(f"finecut.{key}", value)
        yield f"{key} = [reference]", _put(f"finecut.{key}", ["${oc.env:HOME}"])
        yield f"{key} = code", _put(f"finecut.{key}", dict(_CODE))
        yield f"{key} = [code]", _put(f"finecut.{key}", [dict(_CODE)])
    yield "a key is a reference", _put("finecut.network", {"${oc.env:HOME}": 1})
    for target in (
        *("os.system", "subprocess.Popen", "builtins.eval", "src.weights.loading.torch.load"),
        *(
            "src.weights.loading.Path",
            "src.training.child.subprocess.run",
            "src.networks.nothing.Net",
        ),
        *(
            "src.networks.u2net.Nothing",
            "src.networks.u2net",
            "src.processing.Processor",
            "torch.nn",
        ),
        *("src.networks.u2net.nn.Linear", "src.networks.dextr.nn.Module", "torch.nn.Linear"),
        *("src.networks.rsu.ResidualU", "src.networks.backbone.ResNet", "", None, 3, ["a"], "|"),
    ):
        yield f"target {target}", _put("finecut.network._target_", target)
    for place in ("network.width", "processor.size", "prompts", "more.inner"):
        yield f"code as {place}", _put(f"finecut.{place}", dict(_CODE))
    for model in ("/tmp/evil", "../evil", "a|b", "a\nb", "a/b", "", 3, None, "x" * 65, ["a"], " "):
        yield f"model {model!r:.12}", _put("finecut.model", model)
    for part in ("model", "network", "processor", "inputs", "network._target_", "processor.size"):
        yield f"without {part}", _dropped(f"finecut.{part}")
    for part in ("network", "processor", "prompts"):
        for value in ([], "text", 3, [1, 2]):
            yield f"{part} = {value}", _put(f"finecut.{part}", value)
    for key, values in {
        "size": (0, -1, "big", 10**9, 10**30, float("nan"), [8], [[8, 8]], None, True, [8, 8.5]),
        "mean": ("text", [1], 3, [float("nan")] * 3, ["a", "b", "c"], [0.5, 0.5]),
        "std": ([0, 0, 0], [-1, 1, 1], [float("inf")] * 3, None),
        "image_kernel": ("spline", 3, None, []),
        "restore_steps": (["magic"], "sigmoid", [[]], 3),
        "paste_relax": (-1, 10**9, "a", 0.5),
        "unknown": (1,),
    }.items():
        for value in values:
            if (key, value) != ("mean", [1]):
                yield f"processor.{key} = {value!r:.20}", _put(f"finecut.processor.{key}", value)
    for inputs in ([], "image", ["pixels"], ["image", "image"], [3], None, {}, [["image"]]):
        yield f"inputs {inputs!r}", _put("finecut.inputs", inputs)
    for name, value in (
        *(("width", "yes"), ("width", True), ("width", [16]), ("width", None), ("unknown", 1)),
        *(("width", 10**9), ("width", 10**30), ("width", -1), ("width", 0)),
        *(("width", float("nan")), ("width", 32)),
        *(("_args_", [1]), ("_partial_", True), ("_convert_", "all")),
    ):
        yield f"argument {name} = {value!r:.20}", _put(f"finecut.network.{name}", value)
    yield (
        "a network too wide for memory",
        _put("finecut.network", {"_target_": "src.networks.isnet.ISNet", "width": 10**9}),
    )
    yield (
        "a network too wide for the file",
        _put("finecut.network", {"_target_": "src.networks.isnet.ISNet", "width": 4096}),
    )
    yield (
        "a backbone that is none",
        _put(
            "finecut.network", {"_target_": "src.networks.dextr.DEXTR", "backbone": "hf-hub:evil/x"}
        ),
    )
    clicked = {"kind": "extreme_points", "relax": 50, "jitter": 5}
    for prompts in (
        *({**clicked, "kind": "scribbles"}, {**clicked, "relax": "a"}, {**clicked, "relax": -1}),
        *({**clicked, "relax": 10**9}, {**clicked, "more": 1}, {"relax": 5}),
    ):

        def guided(content: Content, prompts: Any = prompts) -> None:
            content["finecut"] |= {"inputs": ["image", "prompt"], "prompts": prompts}

        yield f"prompts {prompts!r:.60}", guided
    for said in ("text", ["list"], 3, torch.ones(2), {1: 2}, {}, True):
        yield f"it is {type(said).__name__} {said!s:.12}", _put("finecut", said)
    yield "bytes in it", _put("finecut.more", b"bytes")
    yield "a tensor in it", _put("finecut.more", torch.ones(2))
    yield "a hundred nested lists", _put("finecut.more", _nested(100))
    yield "more values than memory", _put("finecut.more", _doubled(40))
    yield "a very long text", _put("finecut.more", "a" * 10**6)
    yield "a very long list", _put("finecut.more", [1] * 10**5)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _doubled(times: int) -> Any:
    """2^times values of a handful of lists."""
    value: Any = [1, 1]
    for _ in range(times):
        value = [value, value]
    return value


def _tensors() -> Iterator[tuple[str, Callable[[Content], object]]]:
    def change(entry: str, make: Callable[[torch.Tensor], Any]) -> Callable[[Content], None]:
        def mutate(content: Content) -> None:
            state = content["state_dict"]
            name = next(key for key in state if entry in key)
            state[name] = make(state[name])

        return mutate

    def one(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda tensor: (
            tensor.clone().flatten().index_fill_(0, torch.tensor([0]), value).view_as(tensor)
        )

    weight, mean = "heads.0.weight", "running_mean"
    for entry in (weight, mean, "heads.1.bias"):
        for value in (float("nan"), float("inf"), float("-inf")):
            yield f"{value} in {entry}", change(entry, one(value))
        yield f"all NaN in {entry}", change(entry, lambda t: torch.full_like(t, float("nan")))
    for dtype in (torch.complex64, torch.bool, torch.int32, torch.float8_e4m3fn):
        yield f"{dtype}", change(weight, lambda t, dtype=dtype: t.to(dtype))
    yield "quantized", change(weight, lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8))
    yield "sparse", change(weight, lambda t: t.to_sparse())
    yield "no values", change(weight, lambda t: t.to("meta"))
    yield "petabytes of one", change(weight, lambda t: torch.zeros(1).expand(10**15))
    yield "many of one", change(mean, lambda t: torch.zeros(1).expand(t.shape))
    for shape in ((0,), (), (1,), (2, 16, 3, 3), (16, 1, 3, 3)):
        yield f"shape {shape}", change(weight, lambda t, shape=shape: torch.zeros(shape))
    for other in ("text", None, 3, [1.0], {"a": 1}):
        yield f"a tensor is {other!r}", change(weight, lambda t, other=other: other)

    def without(content: Content) -> None:
        content["state_dict"].popitem()

    def with_more(content: Content) -> None:
        content["state_dict"]["network.more"] = torch.ones(1)

    def twice(content: Content) -> None:
        name = next(iter(content["state_dict"]))
        content["state_dict"]["module." + name] = content["state_dict"][name]

    def in_itself(content: Content) -> None:
        content["state_dict"] = {"x": 1}
        content["state_dict"]["state_dict"] = content["state_dict"]

    yield from (
        ("one is missing", without),
        ("one too many", with_more),
        ("one is there twice", twice),
        ("a dict that holds itself", in_itself),
        ("no weights", _put("state_dict", {})),
        ("weights are a list", _put("state_dict", [torch.ones(1)])),
        ("weights are a tensor", _put("state_dict", torch.ones(1))),
        ("numbers for names", _put("state_dict", {1: torch.ones(1)})),
        ("of another network", _put("state_dict", nn.Conv2d(3, 8, 3).state_dict())),
    )


def _files(sound: Content) -> Iterator[Case]:
    buffer = io.BytesIO()
    torch.save(sound, buffer)
    whole = buffer.getvalue()

    def holds(name: str, content: bytes) -> Case:
        return Case(f"file: {name}", lambda path: path.write_bytes(content))

    def saved(name: str, content: Any, **how: Any) -> Case:
        return Case(f"file: {name}", lambda path: torch.save(content, path, **how))

    for place in np.linspace(0.02, 0.97, 12):
        flipped = bytearray(whole)
        flipped[_inside(whole, place)] ^= 4
        yield holds(f"a bit flipped at {place:.2f}", bytes(flipped))
    for share in (0.001, 0.3, 0.7, 0.999):
        yield holds(f"the first {share:.1%}", whole[: int(len(whole) * share)])
    yield from (
        holds("empty", b""),
        holds("one byte", b"P"),
        holds("zeros", bytes(10_000)),
        holds("noise", np.random.default_rng(0).bytes(10_000)),
        holds("text", b"my weights\n"),
        holds("a quota page", b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"),
        holds("a login page", b"\n  <html lang=en><head></head></html>"),
        holds("an error of a bucket", b"<?xml version='1.0'?><Error>NoSuchKey</Error>"),
        holds("json", b'{"message": "Not Found"}'),
        holds("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"),
        holds("onnx", b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0:\xa3\x01" + bytes(900)),
        holds("safetensors", (60).to_bytes(8, "little") + b'{"a": {"dtype": "F32"}}'.ljust(60)),
        holds("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(500)),
        holds("gzip", b"\x1f\x8b\x08" + bytes(500)),
        holds("png", b"\x89PNG\r\n\x1a\n" + bytes(500)),
        holds("numpy", b"\x93NUMPY\x01\x00" + bytes(500)),
        holds("tar", bytes(257) + b"ustar\x0000" + bytes(500)),
        holds("a pickle of code", pickle.dumps(Bomb())),
        saved("a list", [torch.ones(2)]),
        saved("a tensor", torch.ones(2)),
        saved("a number", 3),
        saved("nothing", None),
        saved("code", {"state_dict": Bomb()}),
        saved("code of the old layout", Bomb(), _use_new_zipfile_serialization=False),
        saved("a whole module", nn.Conv2d(3, 1, 1)),
        saved("a module in a dict", {"model": nn.Conv2d(3, 1, 1)}),
        saved("an array", {"state_dict": np.ones(3)}),
    )
    yield Case("file: torchscript", lambda path: torch.jit.script(nn.ReLU()).save(str(path)))
    yield Case("file: a zip of something", lambda path: _zip(path, {"README.md": b"text"}))
    yield Case("file: compressed", lambda path: _compressed(path, whole))
    yield Case("file: a folder", lambda path: path.mkdir())
    yield Case("file: missing", lambda path: None)


def _inside(whole: bytes, share: float) -> int:
    """A place within a record: what lies between them is padding, which holds nothing."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        records = [entry for entry in archive.infolist() if entry.file_size > 200]
    entry = records[int(share * len(records))]
    start = whole.index(entry.filename.encode(), entry.header_offset) + len(entry.filename)
    extra = int.from_bytes(whole[entry.header_offset + 28 : entry.header_offset + 30], "little")
    return start + extra + entry.file_size // 2


def _zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _compressed(path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    _zip(path, files, zipfile.ZIP_DEFLATED)
