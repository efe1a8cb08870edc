"""Finds the commands and the Python that the documents show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.types import Override

from .running import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "experiments").glob("*/README.md")),
]


class Command(NamedTuple):
    """A command line of a document, as the shell would split it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> Iterator[Command]:
    """Every command line of the pages, comments and the variables in front left out."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    yield Command(str(page.relative_to(ROOT)), as_module(words))


def mentioned() -> Iterator[Command]:
    """Command lines within sentences; those with a gap (`…`, `<run>`) are no whole commands."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for line in re.findall(r"`((?:python|finecut(?! COMMAND)) [^`…<]+)`", text):
            yield Command(str(page.relative_to(ROOT)), as_module(shlex.split(line)))


def as_module(words: list[str]) -> tuple[str, ...]:
    """`finecut check …` as `python -m src check …`, which needs no console script."""
    return ("python", "-m", "src", *words[1:]) if words[0] == "finecut" else tuple(words)


def first(override: Override) -> str:
    """The override itself, or its first value if it is a sweep of a plain list."""
    if not override.is_sweep_override():
        return str(override.input_line)
    if override.is_choice_sweep():
        return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
    return f"{override.get_key_element()}={override.value().start}"  # type: ignore[union-attr]
