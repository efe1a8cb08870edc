"""Reads an ONNX file as a model: what runs it, and how an image becomes its input.

Files that finecut exported say it themselves. Others are known by their checksum or name
(`onnx_files.yaml`), or the user says which model they are of or how they want their image. Nothing
here runs the file; everything wrong with it is a WeightsError of one line.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from torch import nn

from src.errors import missing_extra
from src.hashing import file_hash
from src.models import composed, names
from src.plain_data import first_line
from src.weights.checkpoint import Checkpoint, WeightsError
from src.weights.file_checks import looks_like_onnx, not_a_checkpoint
from src.weights.known_onnx import KnownOnnx, recognized
from src.weights.metadata import Metadata, MetadataError, metadata_of
from src.weights.model_folder import ENTRY

log = logging.getLogger(__name__)

SUFFIX = ".onnx"
_RUNNER = "src.engines.onnx_model.OnnxModel"
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# What a value passes through between the sigmoid and the output.
_PASSED = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Resize", "Clip", "Transpose")
_FLOATS = ("float", "float16")
_UNNAMED = re.compile(r"[^\w.+-]")
_BAKED = {  # what Python does beside a file that has all processing inside: nothing
    **{"image_kernel": "whole", "mask_kernel": "whole", "scale": "none"},
    **{"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "restore_steps": ()},
}


@dataclass(frozen=True)
class OnnxMetadata(Metadata):
    """As of a checkpoint; what is built is what runs the file."""

    def network_class(self) -> type[nn.Module]:
        module, _, name = _RUNNER.rpartition(".")
        return getattr(import_module(module), name)

    def outline(self) -> Any:
        return None  # there are no weights to compare


class _Value(NamedTuple):
    """An input or output of a graph; sides that are free are None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        shape = "×".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} ({self.dtype} {shape or 'of no shape'})"


class _Graph(NamedTuple):
    """What is asked of a file.

    Attributes:
        input: The one input.
        outputs: In the file's order.
        sigmoids: Names of the outputs that a sigmoid makes.
        said: The file's metadata.
    """

    input: _Value
    outputs: tuple[_Value, ...]
    sigmoids: frozenset[str]
    said: Mapping[str, str]


class _Input(NamedTuple):
    layout: str
    size: tuple[int | None, int | None]


def is_onnx(path: Path) -> bool:
    """Whether a file is an ONNX model, or at least called one."""
    if path.suffix.lower() == SUFFIX:
        return True
    with path.open("rb") as file:
        return looks_like_onnx(file.read(4096))


def read_onnx(
    path: Path,
    model: str | DictConfig | None = None,
    preprocess: Mapping[str, Any] | None = None,
    size: int | Sequence[int] | None = None,
) -> Checkpoint:
    """An ONNX file as a checkpoint without weights, whose metadata say how it is run.

    Args:
        path: The file.
        model: Whose processing a file of others wants: a name or a composed group of conf/model.
        preprocess: Where that differs, checked: keys of `src.settings.preprocess`.
        size: Of the input, where the file leaves it free.

    Raises:
        WeightsError: No ONNX file, one whose other files are missing, one of another kind than an
            image in and a mask out, or one of which nobody says what it wants.
    """
    graph = _graph(path)
    sha256 = file_hash(path)
    said = dict(preprocess or {})
    if size is not None:
        said["size"] = size
    if graph.said.get("framework", "").startswith("finecut"):
        metadata = _of_ours(path, graph, model, said)
    else:
        metadata = _of_others(path, sha256, graph, model, said)
    return Checkpoint(path, sha256, {}, {}, metadata)


def _graph(path: Path) -> _Graph:
    try:
        import onnx
    except ImportError as error:
        raise missing_extra(f"{path.name}: ONNX needs onnx", "export") from error
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        if not looks_like_onnx(head) and (reason := not_a_checkpoint(path)):
            raise WeightsError(f"{path} {reason}")
        found = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except WeightsError:
        raise
    except Exception as error:  # protobuf's and onnx's have no base of their own
        raise WeightsError(
            f"{path} is no readable ONNX file ({first_line(error)}); download or export it again"
        ) from error
    _require_whole(path, found)
    constants = {one.name for one in found.graph.initializer}
    inputs = [_value(one) for one in found.graph.input if one.name not in constants]
    outputs = tuple(_value(one) for one in found.graph.output)
    if len(inputs) != 1 or not outputs:
        listed = ", ".join(map(str, inputs)) or "none"
        raise WeightsError(
            f"{path} takes {len(inputs)} inputs ({listed}): a model that makes masks takes one, "
            "the image"
        )
    makers = {name: node for node in found.graph.node for name in node.output}
    sigmoids = frozenset(one.name for one in outputs if _is_sigmoid(one.name, makers))
    said = {entry.key: entry.value for entry in found.metadata_props}
    return _Graph(inputs[0], outputs, sigmoids, said)


def _require_whole(path: Path, found: Any) -> None:
    """Refuse a file whose weights are in other files that are not there, or not beside it."""
    import onnx

    stored = {
        entry.value
        for tensor in found.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    folder = path.parent.resolve()
    for name in sorted(stored):
        beside = (folder / name).resolve()
        if not beside.is_relative_to(folder):
            raise WeightsError(f"{path} wants its weights from {name[:200]!r}, outside its folder")
        if not beside.is_file():
            raise WeightsError(
                f"{path} has its weights in {name[:200]}, which is not beside it; put it there"
            )


def _value(found: Any) -> _Value:
    import onnx

    kind = found.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    dtype = onnx.TensorProto.DataType.Name(kind.elem_type).lower() if kind.elem_type else "no"
    return _Value(found.name, dtype, tuple(side or None for side in shape))


def _is_sigmoid(name: str, makers: Mapping[str, Any]) -> bool:
    """Whether a sigmoid makes an output, apart from what changes its form alone."""
    for _ in range(len(makers)):
        node = makers.get(name)
        if node is None or not node.input:
            return False
        if node.op_type == "Sigmoid":
            return True
        if node.op_type not in _PASSED:
            return False
        name = node.input[0]
    return False


def _of_ours(
    path: Path, graph: _Graph, model: str | DictConfig | None, preprocess: Mapping[str, Any]
) -> OnnxMetadata:
    """What an export of ours says, checked as a checkpoint's metadata are."""
    asked = model.name if isinstance(model, DictConfig) else model
    name = graph.said.get("model", "")
    if asked is not None and asked != name:
        raise WeightsError(f"{path} is an export of {name}, not of {asked}; leave model= out")
    if preprocess:
        said = " and ".join("size=" if key == "size" else f"preprocess.{key}" for key in preprocess)
        raise WeightsError(
            f"{path} is an export of ours, which says itself what it wants of an image; leave "
            f"{said} out"
        )
    try:
        processor = json.loads(graph.said.get("processor", "null"))
        # Exports of before that was written down: more channels are those of clicks.
        guided = graph.input.dtype != "uint8" and graph.input.shape[1:2] not in ((3,), (None,))
        usual = '["image", "prompt"]' if guided else '["image"]'
        inputs = json.loads(graph.said.get("inputs", usual))
        prompts = json.loads(graph.said.get("prompts", "null"))
        checked = metadata_of(
            {
                ENTRY: {
                    "model": name,
                    "network": {"_target_": _RUNNER, "path": str(path)},
                    "processor": processor,
                    "inputs": inputs,
                    "prompts": prompts,
                }
            }
        )
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata are damaged ({first_line(error)})") from None
    except MetadataError as error:
        raise WeightsError(f"{path} {error}") from None
    assert checked is not None
    baked = graph.input.dtype == "uint8"
    if not baked:
        _check_bare(path, graph)
    layout, values = ("image", "mask") if baked else ("nchw", "logits")
    return OnnxMetadata(
        name,
        _RUNNER,
        _arguments(path, graph, layout=layout, values=values),
        {**checked.processor, **_BAKED} if baked else checked.processor,
        checked.inputs,
        checked.prompts,
    )


def _check_bare(path: Path, graph: _Graph) -> None:
    if graph.input.dtype not in _FLOATS or len(graph.input.shape) != 4:
        raise WeightsError(f"{path} takes {graph.input}, which no export of ours does")


def _of_others(
    path: Path,
    sha256: str,
    graph: _Graph,
    model: str | DictConfig | None,
    preprocess: Mapping[str, Any],
) -> OnnxMetadata:
    known = None if model is not None else recognized(path, sha256)
    if model is None and known is None and not preprocess:
        raise WeightsError(
            f"{path} takes {graph.input} and does not say which model it is; add model=NAME "
            f"({', '.join(names())}), or preprocess={{size:…,mean:[…],std:[…]}}"
        )
    processor = _processor_of_model(model or (known and known.model))
    said = {**(known.preprocess if known else {}), **preprocess}
    found = _input(path, graph, said.get("layout"))
    if known is not None:
        _require_known_size(path, sha256, known, found)
    output = _output(path, graph, said.get("output"))
    values = said.get("values") or ("probabilities" if output.name in graph.sigmoids else "logits")
    processor = {
        **processor,
        **{key: said[key] for key in ("mean", "std", "scale") if key in said},
        **({"image_kernel": said["kernel"]} if "kernel" in said else {}),
        "size": _size(path, found, said.get("size"), processor.get("size")),
        "restore_steps": _restore_steps(processor, values, said.get("min_max")),
    }
    name = known.name if known else _name(path, model)
    channels = said.get("channels", "rgb")
    log.info("%s", _summary(path, sha256, known, graph, output, values, processor, channels))
    arguments = _arguments(
        path, graph, layout=found.layout, values=values, output=output.name, channels=channels
    )
    return OnnxMetadata(name, _RUNNER, arguments, processor, ("image",))


def _arguments(path: Path, graph: _Graph, **further: str) -> dict[str, Any]:
    return {
        "path": str(path),
        "batched": graph.input.shape[:1] == (None,) and further["layout"] != "image",
        "dtype": graph.input.dtype,
        **further,
    }


def _processor_of_model(model: str | DictConfig | None) -> dict[str, Any]:
    if model is None:
        return {**_IMAGENET, "restore_steps": ["sigmoid", "resize"]}
    group = composed(model) if isinstance(model, str) else model
    if list(group.inputs) != ["image"]:
        raise WeightsError(
            f"model={group.name} is guided by clicks, which an ONNX file of others cannot be"
        )
    values: Any = OmegaConf.to_container(group.processor, resolve=True)
    return {**_IMAGENET, **{key: value for key, value in values.items() if key != "_target_"}}


def _input(path: Path, graph: _Graph, layout: str | None) -> _Input:
    """The order of the axes and the input's height and width, where they are fixed."""
    given, shape = graph.input, graph.input.shape
    if given.dtype not in _FLOATS:
        raise WeightsError(
            f"{path} takes {given}: a network of others takes an image of float numbers"
        )
    if len(shape) != 4:
        raise WeightsError(f"{path} takes {given}: an image has four axes, 1×3×height×width")
    layout = layout or ("nhwc" if shape[3] == 3 and shape[1] != 3 else "nchw")
    channels, height, width = (
        (shape[1], shape[2], shape[3]) if layout == "nchw" else (shape[3], shape[1], shape[2])
    )
    if channels not in (3, None):
        raise WeightsError(
            f"{path} takes {given}: {channels} channels, and an image has 3; is it guided by "
            "clicks, or is preprocess.layout another?"
        )
    if shape[0] not in (1, None):
        raise WeightsError(f"{path} takes {given}: {shape[0]} images at once; export it with one")
    return _Input(layout, (height, width))


def _output(path: Path, graph: _Graph, name: str | None) -> _Value:
    listed = ", ".join(map(str, graph.outputs))
    found = next((one for one in graph.outputs if name in (one.name, None)), None)
    if found is None:
        raise WeightsError(f"{path} has no output {name}; it gives {listed}")
    rank, shape = len(found.shape), found.shape
    if found.dtype not in _FLOATS or rank not in (0, 2, 3, 4):
        raise WeightsError(
            f"{path} gives {found}, which is no map of an image; preprocess.output chooses of "
            f"{listed}"
        )
    if rank == 4 and None not in (shape[1], shape[3]) and 1 not in (shape[1], shape[3]):
        raise WeightsError(
            f"{path} gives {found}, several maps: which is the mask? It sorts pixels into classes, "
            "or does something else"
        )
    return found


def _require_known_size(path: Path, sha256: str, known: KnownOnnx, found: _Input) -> None:
    """Refuse a file that only bears the name of a known one, which its size gives away."""
    if sha256 == known.sha256 or all(side in (None, known.size) for side in found.size):
        return
    sides = "×".join(str(side) for side in found.size)
    raise WeightsError(
        f"{path} takes {sides} pixels, {known.name} takes {known.size}×{known.size}: it is another "
        f"file of that name; say which model it is, model={known.model}"
    )


def _size(path: Path, found: _Input, asked: Any, usual: Any) -> tuple[int, int]:
    pair = asked if asked is not None else usual
    sides = [pair, pair] if isinstance(pair, int) else list(pair or (None, None))
    fixed = list(found.size)
    if asked is not None and any(f not in (None, s) for f, s in zip(fixed, sides, strict=True)):
        raise WeightsError(
            f"{path} takes {fixed[0]}×{fixed[1]} pixels, not {sides[0]}×{sides[1]}; leave size out"
        )
    height, width = (f or s for f, s in zip(fixed, sides, strict=True))
    if height is None or width is None:
        raise WeightsError(f"{path} takes images of any size; add preprocess.size=…")
    return height, width


def _restore_steps(
    processor: Mapping[str, Any], values: str, min_max: bool | None
) -> tuple[str, ...]:
    """The model's steps back; what the graph has done already is left out."""
    steps = [step for step in processor["restore_steps"] if step != "sigmoid"]
    if min_max is False:
        steps = [step for step in steps if step != "min_max"]
    elif min_max and "min_max" not in steps:
        steps.append("min_max")
    return (*(["sigmoid"] if values == "logits" else []), *steps)


def _name(path: Path, model: str | DictConfig | None) -> str:
    if model is not None:
        return str(model.name) if isinstance(model, DictConfig) else model
    return _UNNAMED.sub("-", path.stem)[:64] or "onnx"


def _summary(
    path: Path,
    sha256: str,
    known: KnownOnnx | None,
    graph: _Graph,
    output: _Value,
    values: str,
    processor: Mapping[str, Any],
    channels: str,
) -> str:
    """The protocol of a file of others, on one line: nobody shall have to guess it."""
    who = "as you say"
    if known is not None:
        by = "checksum" if sha256 == known.sha256 else "name; its checksum is another"
        who = f"{known.name}, known by its {by}"
    height, width = processor["size"]
    scale, mean, std = (processor.get(key) for key in ("scale", "mean", "std"))
    of = f" of {len(graph.outputs)}" if len(graph.outputs) > 1 else ""
    how = {
        **{"size": f"{height}×{width}", "kernel": processor.get("image_kernel", "opencv")},
        **{"scale": scale or "255", "mean": mean, "std": std, "channels": channels},
    }
    said = " ".join(f"{key}={_short(value)}" for key, value in how.items() if value is not None)
    steps = " ".join(processor["restore_steps"])
    return f"{path.name}: {who}; {said}; output {output.name}{of}, {values}: {steps}"


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(f'{one:g}' for one in value)}]"
    return str(value)
