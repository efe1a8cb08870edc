"""What a checkpoint of ours says of itself, as typed values; nothing in it is believed unchecked.

A checkpoint is data of anybody. Its metadata holds plain values of bounded size, no interpolation
is ever resolved in it, and all that is built from it is a network of `src.networks`.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn

from src.errors import UserError
from src.targets import is_own_code
from src.weights.model_folder import ENTRY

_NAME = re.compile(r"\w[\w.+-]{0,63}")  # of a model: a file and a cell of a table are called so
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_OUR_NETWORK = re.compile(r"(src\.networks\.\w+)\.([A-Z]\w*)")  # module and class
_INPUTS = ("image", "mask", "prompt")
_REQUIRED = ("model", "network", "processor", "inputs")
_LONGEST_TEXT, _MOST_ITEMS, _MOST_VALUES, _DEEPEST = 4096, 256, 2000, 6
_FARTHEST = 1e9
_LARGEST = 8192  # widths, depths and sides; what is larger would take all memory


class MetadataError(UserError):
    """Metadata that is missing, mistyped, or wants what no checkpoint may.

    The message is what follows the file's name in a sentence.
    """


@dataclass(frozen=True)
class Metadata:
    """How the network of a checkpoint is built and used.

    model: Its name; a word, never a path.
    target: The dotted name of the network's class.
    arguments: Its constructor's.
    processor, prompts: Plain values, for `Processor` and `prompts_of`.
    inputs: What is joined for the network, of `image`, `mask` and `prompt`.
    """

    model: str
    target: str
    arguments: Mapping[str, Any]
    processor: Mapping[str, Any]
    inputs: tuple[str, ...]
    prompts: Mapping[str, Any] | None = field(default=None)

    @property
    def network(self) -> dict[str, Any]:
        """As a config names it."""
        return {"_target_": self.target, **self.arguments}

    def build(self) -> Any:
        """The network with random weights, in evaluation mode.

        Raises:
            MetadataError: No network of ours, or arguments that it does not take.
        """
        return self._made(self.network_class()).eval()

    def outline(self) -> Any:
        """The network without memory for its weights, to compare shapes with; None where it
        cannot be had.
        """
        made = self.network_class()
        try:
            with torch.device("meta"):
                return self._made(made).eval()
        except NotImplementedError:  # it computes with values while it is built
            return None

    def network_class(self) -> type[nn.Module]:
        """The class of the network. A checkpoint may name ours only: it could run any code."""
        match = _OUR_NETWORK.fullmatch(self.target)
        try:
            found = getattr(import_module(match[1]), match[2], None) if match else None
        except ImportError:
            found = None
        # Networks read files of weights, so that their base class is imported here and not above.
        network = import_module("src.networks.network").Network
        # By where it is defined: what our modules import lies in them too.
        ours = isinstance(found, type) and issubclass(found, network)
        if not ours or not found.__module__.startswith("src.networks."):
            raise MetadataError(
                f"wants to build {self.target}: only src.networks.… may be; is it one of ours?"
            )
        return found  # type: ignore[return-value]

    def _made(self, made: type[nn.Module]) -> nn.Module:
        _check_arguments(made, self.arguments)
        try:
            return made(**self.arguments)
        except NotImplementedError:
            raise
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise MetadataError(f"cannot build {self.target}: {_line(error)}") from error


def metadata_of(content: Mapping[Any, Any]) -> Metadata | None:
    """The metadata of a checkpoint's content; None where the file says nothing of itself.

    Raises:
        MetadataError: What is missing or wrong, named by its key.
    """
    said = content.get(ENTRY)
    if said is None:
        return None
    if not isinstance(said, Mapping):
        raise MetadataError(f"has metadata that is {_shown(said)}, not a dict of values")
    _check_plain(said)
    said = _with_present_names(said)
    if missing := [key for key in _REQUIRED if said.get(key) is None]:
        raise MetadataError(
            f"lacks {', '.join(missing)} in its metadata; was it made by another version of "
            "finecut?"
        )
    model, network, prompts = said["model"], said["network"], said.get("prompts")
    if not isinstance(model, str) or not _NAME.fullmatch(model):
        raise MetadataError(
            f"says {ENTRY}.model is {_shown(model)}; a name is up to 64 letters, digits and . _ + -"
        )
    for key in ("network", "processor", "prompts"):
        if said.get(key) is not None and not isinstance(said[key], Mapping):
            raise MetadataError(f"says {ENTRY}.{key} is {_shown(said[key])}, not a dict of values")
    target = network.get("_target_")
    _check_targets(said, target)
    arguments = {key: _tupled(v) for key, v in network.items() if key != "_target_"}
    if "pretrained" in arguments:  # all weights are in the checkpoint
        arguments["pretrained"] = False
    return Metadata(
        model,
        target,
        arguments,
        {key: value for key, value in said["processor"].items() if key != "_target_"},
        _inputs(said["inputs"]),
        None if prompts is None else {k: v for k, v in prompts.items() if k != "_target_"},
    )


def _inputs(value: Any) -> tuple[str, ...]:
    given = tuple(value) if isinstance(value, list | tuple) else ()
    known = all(isinstance(key, str) and key in _INPUTS for key in given)
    if not given or not known or len(set(given)) < len(given):
        raise MetadataError(
            f"says {ENTRY}.inputs is {_shown(value)}; it is a list of {', '.join(_INPUTS)}"
        )
    return given


def _with_present_names(said: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Metadata whose processor was still called geometry, and per_image_max own_maximum."""
    if "geometry" not in said or "processor" in said:
        return said
    processor = said["geometry"]
    if isinstance(processor, Mapping) and processor.get("scale") == "own_maximum":
        processor = {**processor, "scale": "per_image_max"}
    return {**{key: v for key, v in said.items() if key != "geometry"}, "processor": processor}


def _check_targets(said: Mapping[Any, Any], target: Any) -> None:
    """Only the network may be named, by a name that can be one."""
    if not isinstance(target, str) or not _TARGET.fullmatch(target) or not is_own_code(target):
        raise MetadataError(f"wants to build {_named(target)}: only src.networks.… may be")
    for key, value in _values(said, ENTRY):
        if not isinstance(value, Mapping):
            continue
        allowed = key in (f"{ENTRY}.network", f"{ENTRY}.processor", f"{ENTRY}.prompts")
        if "_target_" in value and (not allowed or key.endswith("prompts")):
            raise MetadataError(
                f"wants to build {_named(value['_target_'])} as {key}: only src.networks.… may be"
            )


def _check_plain(said: Mapping[Any, Any]) -> None:
    """Refuse what is no plain value of a sane size, and what a config would resolve."""
    count = 0
    for key, value in _values(said, ENTRY):
        count += 1
        if count > _MOST_VALUES or key.count(".") > _DEEPEST:
            raise MetadataError(f"has more values in its metadata than any of ours: {key:.80}")
        if isinstance(value, str):
            _check_text(key, value)
        elif isinstance(value, Mapping | list | tuple):
            if len(value) > _MOST_ITEMS:
                raise MetadataError(f"says {key} has {len(value)} entries, more than {_MOST_ITEMS}")
        elif isinstance(value, bool | NoneType):
            continue
        elif isinstance(value, int | float):
            if not -_FARTHEST <= value <= _FARTHEST:  # nor NaN
                raise MetadataError(f"says {key} is {_shown(value)}, which no setting can be")
        else:
            raise MetadataError(f"says {key} is a {type(value).__name__}, not a plain value")


def _check_text(key: str, value: str) -> None:
    if "${" in value or value == "???":
        raise MetadataError(
            f"says {key} is {_shown(value)}: a checkpoint holds values, no references to resolve"
        )
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        raise MetadataError(f"says {key} is {_shown(value)}, which is no word")


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value and part of it with its key; stops at a depth that is refused."""
    yield key, value
    if key.count(".") > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise MetadataError(f"says {key} has the key {_shown(name)}, which is no word")
            _check_text(f"a key of {key}", name)
            yield from _values(inner, f"{key}.{name[:80].replace('.', '·')}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _values(inner, f"{key}.{index}")


def _check_arguments(made: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    parameters = inspect.signature(made).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    hints = _hints(made)
    for name, value in arguments.items():
        key = f"{ENTRY}.network.{name}"
        if name not in parameters and not takes_any:
            raise MetadataError(
                f"says {key}, which is no argument of {made.__name__}: it takes "
                f"{', '.join(parameters) or 'none'}; was it made by another version of finecut?"
            )
        if not _fits(value, hints.get(name, Any)):
            raise MetadataError(
                f"says {key} is {_shown(value)}, which {made.__name__} does not take"
            )
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and abs(number) > _LARGEST:
                raise MetadataError(f"says {key} is {_shown(number)}; {_LARGEST} is the most")
    for name, parameter in parameters.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and name not in arguments:
            raise MetadataError(f"lacks {ENTRY}.network.{name}, which {made.__name__} needs")


def _hints(made: type[nn.Module]) -> dict[str, Any]:
    try:
        return get_type_hints(made.__init__)
    except (NameError, TypeError):  # of types that only a type checker sees
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a type; of types that are not plain it is believed."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(hint))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        inner = [one for one in get_args(hint) if one is not Ellipsis] or [Any]
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, NoneType):
        return isinstance(value, hint)
    return True


def _tupled(value: Any) -> Any:
    return tuple(_tupled(one) for one in value) if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    """A value in a message: its beginning, on one line."""
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a number beyond all bounds"
    plain = isinstance(value, str | int | float | NoneType)
    text = repr(value) if plain else f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _named(target: Any) -> str:
    if target is None:
        return "nothing"
    return target if isinstance(target, str) and _TARGET.fullmatch(target) else _shown(target)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
