"""COCO's JSON as it comes from many tools: read whole, or refused with what is wrong."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from src.errors import UserError

_MOST_PIXELS = 2**28  # pycocotools counts in 32 bits, and no image of a data set is larger


class EntryError(UserError):
    """An entry of a COCO file that cannot be meant; the message says what is wrong with it."""


def read_json(path: Path, allow_nan: bool = False) -> Any:
    """The content of a JSON file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        UserError: It cannot be read, is cut or no JSON, or, unless `allow_nan`, holds NaN or
            Infinity.
    """
    try:
        constants = None if allow_nan else _refuse_constant
        return json.loads(path.read_bytes(), parse_constant=constants)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error


def read_entries(content: Any, key: str, path: Path) -> list[Any]:
    """The list under `key`. Raises UserError where there is none."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"{path}: has no list of {key}; is it a COCO file?")
    return entries


def read_id(entry: dict[str, Any], key: str = "id") -> int | str:
    """A whole number or a text that tells entries apart; 3.0 is 3. Raises EntryError otherwise."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise EntryError(f"{key} is {shortened(value)}, not a number")
    return value


def read_size(image: dict[str, Any], measure: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Height and width that an image's entry states; `measure` tells them where it has neither.

    Raises:
        EntryError: No sizes of an image.
    """
    if image.get("height") is None and image.get("width") is None:
        return measure()
    sides = []
    for key in ("height", "width"):
        value = image.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EntryError(f"{key} is {shortened(value)}, not a number of pixels")
        if not 1 <= value <= _MOST_PIXELS or value != int(value):
            raise EntryError(f"{key} is {shortened(value)}, not a number of pixels")
        sides.append(int(value))
    if sides[0] * sides[1] > _MOST_PIXELS:
        raise EntryError(f"height {sides[0]} and width {sides[1]} are not an image's")
    return sides[0], sides[1]


def find_image(folder: Path, name: Any) -> Path:
    """The file of a `file_name`, which may be written with backslashes; never outside `folder`.

    The way is judged as it is written, so that links to images elsewhere can be followed.

    Raises:
        EntryError: No name, a name that leaves the folder, or no such file.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise EntryError(f"file_name is {shortened(name)}, not the name of a file")
    base = folder.absolute()
    for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
        place = Path(os.path.normpath(base / spelling))
        if not place.is_relative_to(os.path.normpath(base)):
            raise EntryError(f"file_name {shortened(name)} lies outside of {folder}")
        if _is_file(place):
            return place
    raise EntryError(f"no file {shortened(name)} in {folder}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def shortened(value: Any) -> str:
    """A value in a message, never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}…"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number")
