"""From a composed config to a schema's object, or to one line for each key that is wrong."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from src.errors import CommandError
from src.settings.schema import allowed_values

Schema = TypeVar("Schema", bound=BaseModel)

_SHOWN = 60  # characters of a value


def parse(schema: type[Schema], config: DictConfig | Mapping[str, Any]) -> Schema:
    """The typed settings of a command.

    Args:
        schema: The command's.
        config: As Hydra composed it; interpolations in it are resolved here, once.

    Raises:
        CommandError: A line for each key that is missing, unknown or has a value it cannot take.
    """
    values = plain(config)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        found = dict(explain(schema, values, error))
        # What merely repeats another key's value is that key's fault.
        own = {key: line for key, line in found.items() if not _is_derived(config, key)}
        raise CommandError(in_lines((own or found).values())) from None


def plain(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """A config without interpolations.

    Raises:
        CommandError: A value is not set, or an interpolation leads nowhere.
    """
    if not isinstance(config, DictConfig):
        return dict(config)
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise CommandError(f"config: {str(error).splitlines()[0]}") from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def parse_part(schema: type[Schema], config: DictConfig) -> Schema:
    """The typed settings among a config's other keys, which may lead nowhere.

    Raises:
        CommandError: As `parse` does.
    """
    part = {key: config[key] for key in schema.model_fields if key in config}
    return parse(
        schema,
        {k: plain(v) if isinstance(v, DictConfig) else _unwrapped(v) for k, v in part.items()},
    )


def require_data(config: DictConfig) -> None:
    """Refuse a command about a data set that names none."""
    if OmegaConf.select(config, "data._target_") is None:
        raise CommandError(
            "data= is missing: a data set, data=dis5k or data=folder; --help lists them"
        )


def _unwrapped(value: Any) -> Any:
    return OmegaConf.to_container(value) if isinstance(value, ListConfig) else value


def in_lines(messages: Iterable[str]) -> str:
    """Several messages, below one another behind `error: `."""
    return "\n       ".join(messages)


def explain(
    schema: type[BaseModel], values: Mapping[str, Any], error: ValidationError
) -> Iterator[tuple[str, str]]:
    """The keys that are wrong, each with a line that says how."""
    for entry in error.errors():
        path, field = _locate(schema, entry["loc"])
        yield ".".join(path), _line(schema, path, field, values, entry)


def _is_derived(config: DictConfig | Mapping[str, Any], key: str) -> bool:
    """Whether a key's value is an interpolation of others."""
    node: Any = config
    for step in key.split("."):
        if not isinstance(node, DictConfig) or step not in node:
            return False
        if OmegaConf.is_interpolation(node, step):
            return True
        node = node[step]
    return False


def _locate(
    schema: type[BaseModel], location: Sequence[int | str]
) -> tuple[tuple[str, ...], FieldInfo | None]:
    """The key that an error is about; pydantic adds the members of unions and lists behind it."""
    path: list[str] = []
    field: FieldInfo | None = None
    inner: Any = schema
    for step in location:
        fields = getattr(inner, "model_fields", {})
        named = next((n for n, f in fields.items() if step in (n, f.alias)), None)
        if named is not None:
            field = fields[named]
            path.append(str(step))
            inner = _nested(field.annotation)
        elif not fields:
            break
        else:  # a key that the schema lacks
            return (*path, str(step)), None
    return tuple(path), field


def _nested(annotation: Any) -> Any:
    """The schema within `Schema | None`."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((one for one in candidates if hasattr(one, "model_fields")), None)


def _line(
    schema: type[BaseModel],
    path: tuple[str, ...],
    field: FieldInfo | None,
    values: Mapping[str, Any],
    entry: ErrorDetails,
) -> str:
    key = ".".join(path)
    if not path:  # two keys that contradict each other
        return str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        return f"no setting is called {key}{_near(schema, path)}; --help lists them"
    value = _value(values, path)
    assert field is not None or entry["type"] == "missing"
    if entry["type"] == "missing" or (value is None and len(path) == 1):
        meaning = f": {field.description}" if field is not None and field.description else ""
        return f"{key}= is missing{meaning}; --help shows an example"
    assert field is not None
    return f"{key}={'null' if value is None else shown(value)}: give {allowed_values(field)}"


def _value(values: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = values
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def _near(schema: type[BaseModel], path: Sequence[str]) -> str:
    close = difflib.get_close_matches(path[-1], list(schema.model_fields), n=1)
    return f" (did you mean {close[0]}?)" if close and len(path) == 1 else ""


def shown(value: Any) -> str:
    """A value as one short piece of text, whatever is in it."""
    text = value if isinstance(value, str) else str(value)
    text = (
        text.encode("unicode_escape", "backslashreplace").decode()
        if not text.isprintable()
        else text
    )
    return (text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…") or "''"
