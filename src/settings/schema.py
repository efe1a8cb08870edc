"""What schemas are made of: their base class, the types of their keys, and these types in words."""

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

SMALLEST_SIDE, LARGEST_SIDE = 16, 32768  # of a network's input, in pixels


class Settings(BaseModel):
    """Base of the schemas: strict types, no key beside those that are named, finite numbers."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


class OpenSettings(Settings):
    """Settings of a group whose choices bring keys of their own, such as a network's."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Allowed:
    """In words, the values of a type that Python's annotation does not tell."""

    text: str


def setting(meaning: str, *, daily: bool = False, **options: Any) -> Any:
    """A key of a schema.

    Args:
        meaning: What it is for, as `--help` says it.
        daily: Shown in the help of commands that have too many keys to show all.
        **options: Of pydantic's `Field`: `ge`, `gt`, `le`, `lt`, `default` and others.
    """
    return Field(description=meaning, json_schema_extra={"daily": daily}, **options)


_TRUE, _FALSE = ("true", "yes", "on", "y", "t", "1"), ("false", "no", "off", "n", "f", "0")


def parse_flag(value: Any) -> Any:
    """`no`, `off`, `n`, `false` and `0` mean false: Hydra hands all but `false` on as text."""
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word not in _TRUE + _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


def _parse_whole(value: Any) -> Any:
    """`1e5` is a float to Hydra, and a whole number to the person who typed it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _parse_text(value: Any) -> Any:
    """A folder named 2024 arrives as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("empty")
    return _check_letters(text)


def _check_letters(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it is not UTF-8")
    return text


def _check_name(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("it holds a control character")
    return text


def _parse_list(value: Any) -> Any:
    """One value stands for a list of one."""
    return value if isinstance(value, list | tuple) or value is None else [value]


def _parse_size(value: Any) -> Any:
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if len(sides) not in (1, 2) or (isinstance(value, list | tuple) and len(sides) != 2):
        raise ValueError("not one or two numbers")
    whole = [_parse_whole(side) for side in sides]
    for side in whole:
        if isinstance(side, bool) or not isinstance(side, int):
            raise ValueError("not a whole number")
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise ValueError("out of range")
    return whole if isinstance(value, list | tuple) else whole[0]


def _parse_config(value: Any) -> Any:
    return DictConfig(value) if isinstance(value, Mapping) else value


Flag = Annotated[bool, BeforeValidator(parse_flag), Allowed("true or false")]
Whole = Annotated[int, BeforeValidator(_parse_whole)]
Words = Annotated[
    str, BeforeValidator(_parse_text), AfterValidator(_check_letters), Allowed("text")
]
Text = Annotated[str, BeforeValidator(_parse_text), AfterValidator(_check_text), Allowed("text")]
Name = Annotated[Text, AfterValidator(_check_name), Allowed("a name")]
FilePath = Annotated[
    str, BeforeValidator(_parse_text), AfterValidator(_check_text), Allowed("a path")
]
Paths = Annotated[
    list[FilePath],
    BeforeValidator(_parse_list),
    Field(min_length=1),
    Allowed("a path, or a list of them: [one,two]"),
]
Names = Annotated[
    list[Name], BeforeValidator(_parse_list), Allowed("a name, or a list of them: [one,two]")
]
TableFormat = Literal["md", "tex", "csv", "html", "xlsx"]
TableLayout = Literal["long", "wide"]
TableFormats = Annotated[
    list[TableFormat],
    BeforeValidator(_parse_list),
    Field(min_length=1),
    Allowed("md, tex, csv, html or xlsx, or a list of them"),
]
ResultFormat = Literal["png", "jpg", "webp", "avif", "tif", "bmp", "gif", "mp4", "mov", "webm"]
ResultFormats = Annotated[
    list[ResultFormat],
    BeforeValidator(_parse_list),
    Field(min_length=1),
    Allowed("png, jpg, webp, avif, tif, bmp, gif, mp4, mov or webm, or a list of them"),
]
Size = Annotated[
    int | list[int],
    BeforeValidator(_parse_size),
    Allowed(f"a whole number from {SMALLEST_SIDE} to {LARGEST_SIDE}, or [height,width]"),
]
Group = Annotated[
    DictConfig | None, BeforeValidator(_parse_config), Allowed("a choice of its group")
]
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def allowed_values(field: FieldInfo) -> str:
    """The values that a key takes, in words: `a whole number from 1 to 8, or null`."""
    return in_words(field.annotation, field.metadata)


def in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The values of an annotated type, in words."""
    said = [entry.text for entry in metadata if isinstance(entry, Allowed)]
    if said:
        return said[-1]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, types.UnionType):
        inner = [in_words(one, metadata) for one in arguments if one is not type(None)]
        return ", or ".join([*dict.fromkeys(inner), *(["null"] if type(None) in arguments else [])])
    if origin is Literal:
        words = [str(word) for word in arguments]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin in (list, Sequence):
        return f"a list: {in_words(arguments[0])} each"
    if origin in (dict, Mapping) or annotation in (dict, DictConfig):
        return "keys and their values"
    return _KINDS.get(annotation, "a value of its kind") + _bounds(metadata)


def _bounds(metadata: Sequence[Any]) -> str:
    flat = [entry for one in metadata for entry in getattr(one, "metadata", [one])]
    words = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "to below {}"}
    parts = []
    for name, text in words.items():
        limits = [limit for entry in flat if (limit := getattr(entry, name, None)) is not None]
        parts += [text.format(n if isinstance(n, int) else f"{n:g}") for n in limits]
    return f" {' '.join(parts)}" if parts else ""


def is_finite_everywhere(value: Any) -> bool:
    """Whether no number within a plain value is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping | DictConfig):
        return all(is_finite_everywhere(inner) for inner in value.values())
    if isinstance(value, list | tuple | ListConfig):
        return all(is_finite_everywhere(inner) for inner in value)
    return True
