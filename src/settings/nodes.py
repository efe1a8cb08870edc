"""Compares config nodes with the constructors that they name, before anything is built or trained.

A constructor's annotations are the one place that says what its arguments are; a range stands there
as well: `minutes: Annotated[float, Gt(0)]`.
"""

import difflib
import inspect
import pkgutil
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig
from pydantic import ConfigDict, TypeAdapter, ValidationError

from src.errors import CommandError
from src.settings.parse import in_lines, plain, shown
from src.settings.schema import in_words, parse_flag
from src.targets import check_targets

_PLAIN = (bool, int, float, str, type(None))
_RESERVED = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")
_NAMED = 12  # arguments in a message
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def check_nodes(config: DictConfig) -> DictConfig:
    """A resolved config whose nodes fit the constructors that their `_target_` names.

    Words for a flag (`no`, `off`) become one where the constructor takes a flag.

    Raises:
        CommandError: A line for each argument that the target does not take, or not this value of.
    """
    check_targets(plain(config))  # before any of them is imported
    config = config.copy()
    said: dict[str, str] = {}
    for path, line in _faults(config, ""):
        # The data's copy of a node of the model says the same again.
        said.setdefault(f"{path.partition('.')[2]}: {line}", f"{path}{line}")
    if said:
        raise CommandError(in_lines(said.values()))
    return config


def _faults(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Keys and what is wrong with them, of a node and of those within it."""
    if isinstance(node, ListConfig):
        for place, item in enumerate(node):
            yield from _faults(item, f"{path}[{place}]")
    if not isinstance(node, DictConfig):
        return
    for key, value in node.items():
        yield from _faults(value, f"{path}.{key!s}" if path else str(key))
    target = node.get("_target_")
    if target is None:
        return
    try:
        parameters = _parameters(target)
    except (ImportError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        yield f"{path}._target_", f"={shown(target)}: cannot be imported ({reason})"
        return
    if parameters is None:
        return
    for key in [str(key) for key in node if key not in _RESERVED]:
        if fault := _fault(node, key, target, parameters):
            yield f"{path}.{key}", fault


def _fault(
    node: DictConfig, key: str, target: str, parameters: Mapping[str | None, Any]
) -> str | None:
    if key not in parameters:
        taken = None in parameters  # as one of **kwargs
        return None if taken else f": {target} takes no {key}{_near(key, parameters)}"
    annotation, value = parameters[key], node[key]
    if annotation is None or isinstance(value, DictConfig):
        return None
    if bool in (annotation, *get_args(annotation)) and isinstance(value, str | int):
        with suppress(ValueError):
            node[key] = value = parse_flag(value)
    if _fits(annotation, value):
        return None
    return f"={shown(value)}: give {in_words(annotation)}"


@cache
def _parameters(target: str) -> dict[str | None, Any] | None:
    """The annotation of each argument, None where it is no plain type; None for `**kwargs`."""
    called = pkgutil.resolve_name(target)
    made_by = called.__init__ if inspect.isclass(called) else called
    try:
        signature = inspect.signature(called)
        hints = get_type_hints(made_by, include_extras=True)
    except (TypeError, ValueError, NameError):  # written in C, or annotated for a checker only
        return None
    found: dict[str | None, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found[None] = None
        else:
            annotation = hints.get(name)
            found[name] = annotation if _is_plain(annotation) else None
    return found


def _is_plain(annotation: Any) -> bool:
    """Whether a value that comes from YAML can be of this type as it is."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_plain(arguments[0])
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(_is_plain(one) for one in arguments)
    return annotation in _PLAIN


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=_STRICT)


def _fits(annotation: Any, value: Any) -> bool:
    try:
        _adapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _near(key: str, parameters: Mapping[str | None, Any]) -> str:
    names = [name for name in parameters if name is not None and name != "self"]
    close = difflib.get_close_matches(str(key), names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    rest = ", …" if len(names) > _NAMED else ""
    return f"; it takes {', '.join(names[:_NAMED])}{rest}"
