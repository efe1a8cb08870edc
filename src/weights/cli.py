"""`finecut models`: the released weights, their licenses, and getting them."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from src.errors import CommandError, UserError, print_user_error
from src.hashing import file_hash
from src.render import Markdown, markdown_table
from src.weights.licenses import commercial_use, refusal, sets_of
from src.weights.registry import Released, find, hint, note_of, place_of, released, resolve

log = logging.getLogger(__name__)

HELP = """\
finecut models                           lists the released weights and the terms of their data
finecut models list commercial=true      … those that may be used commercially, and why not others
finecut models get u2net isnet           downloads weights and checks them
finecut models get all=true              … all of them
finecut models where u2net               prints where the file lies; exit code 1 if it is not there

  commercial=true   refuse what may not be used commercially, or nothing says that it may

Files go to FINECUT_WEIGHTS (~/.cache/finecut). FINECUT_OFFLINE=1 forbids downloads, HF_ENDPOINT
names a mirror of huggingface.co. A checksum that is not published is noted beside the file when
it comes, and compared from then on."""
_SWITCHES = ("all", "commercial")


class _Request(NamedTuple):
    entries: tuple[Released, ...]
    all: bool = False
    commercial: bool = False


def main(words: Sequence[str]) -> int:
    """List, get or locate released weights; returns the exit code."""
    is_named = bool(words) and "=" not in words[0]
    action, rest = (words[0], words[1:]) if is_named else ("list", words)
    if action not in _ACTIONS:
        known = ", ".join(_ACTIONS)
        raise CommandError(f"finecut models {action}: it is one of {known}; --help says more")
    return _ACTIONS[action](_parsed(rest))


def _parsed(words: Sequence[str]) -> _Request:
    entries, switches = [], {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            entry = find(word)
            if entry is None:
                raise CommandError(f"{word}: no released weights{hint(word)}")
            entries.append(entry)
        elif key not in _SWITCHES or value not in ("true", "false"):
            raise CommandError(f"{word}: the keys are all=true and commercial=true")
        else:
            switches[key] = value == "true"
    return _Request(tuple(dict.fromkeys(entries)), **switches)


def _list(request: _Request) -> int:
    entries = request.entries or tuple(released().values())
    shown = [e for e in entries if not request.commercial or commercial_use(e)[0] == "yes"]
    if shown:
        print(models_table(shown), end="")
        print()
        print(sets_table(shown), end="")
    for entry in entries if request.commercial else ():
        answer, reasons = commercial_use(entry)
        if answer != "yes":
            print(f"refused: {entry.name}: {answer}: {'; '.join(reasons)}")
    if request.commercial:
        print(f"{len(shown)} of {len(entries)} may be used commercially as far as terms are known")
    return 0


def _get(request: _Request) -> int:
    if request.all == bool(request.entries):
        raise CommandError("finecut models get: give names, or all=true: finecut models lists them")
    failed = 0
    for entry in tuple(released().values()) if request.all else request.entries:
        try:
            answer, reasons = commercial_use(entry)
            if request.commercial and answer != "yes":
                raise UserError(refusal(entry, answer, reasons))
            path = resolve(entry.name)
            print(
                f"{entry.name}: {path}, {path.stat().st_size / 1e6:.1f} MB, {_checked(entry, path)}"
            )
        except UserError as error:
            print_user_error(error)
            failed += 1
    return 1 if failed else 0


def _checked(entry: Released, path: Path) -> str:
    if check := entry.checksum:
        return f"{check.algorithm} as known ({entry.source})"
    if not note_of(path).is_file():  # a folder that cannot be written to
        return "no checksum is published"
    return f"no checksum is published: its sha256 {file_hash(path)} is noted beside it"


def _where(request: _Request) -> int:
    if request.all or not request.entries:
        raise CommandError("finecut models where: give names; finecut models lists them")
    missing = 0
    for entry in request.entries:
        path = place_of(entry)
        print(path)
        if not path.is_file():
            missing += 1
            print(f"not there yet: finecut models get {entry.name}", file=sys.stderr)
    return 1 if missing else 0


def models_table(entries: Sequence[Released]) -> str:
    """Weights as a Markdown table: a line for each, with its licenses."""
    head = ["name", "model", "MB", "license of the code", "of the weights", "trained on"]
    head += ["commercial use", "authors", "checksum"]
    rows: list[list[str]] = []
    for entry in entries:
        check = entry.checksum
        rows.append(
            [
                entry.name,
                entry.model,
                f"{entry.size / 1e6:.1f}" if entry.size else "–",
                entry.code_license or "not stated",
                entry.weights_license or "not stated",
                ", ".join(entry.trained_on) if entry.trained_on else "not stated",
                commercial_use(entry)[0],
                Markdown(f"[page]({entry.page})"),
                f"{check.algorithm} {check.digest[:12]}…" if check else "–",
            ]
        )
    return markdown_table(head, rows, "llrllllll")


def sets_table(entries: Sequence[Released]) -> str:
    """The training sets of weights as a Markdown table: a line for each set, with its terms."""
    sets = dict.fromkeys(one for entry in entries for one in sets_of(entry))
    rows = [
        [
            one.name,
            one.commercial,
            one.terms or "none that we found",
            Markdown(f"[page]({one.page})"),
        ]
        for one in sets
    ]
    return markdown_table(["training set", "commercial use", "terms", "authors"], rows, "llll")


_ACTIONS: dict[str, Callable[[_Request], int]] = {"list": _list, "get": _get, "where": _where}
