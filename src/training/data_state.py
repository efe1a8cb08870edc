"""Notices that a run's data changed between its start and its resume."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.atomic import atomic_write
from src.datamodules.base import SegmentationDataModule
from src.datamodules.file_facts import contents
from src.errors import UserError
from src.hashing import bytes_hash
from src.training import provenance

DATA = "data.json"  # a digest of every file, by set and name
_NAMED = 5

# Digests by set and file.
Contents = dict[str, dict[str, str]]


class DataState:
    """What a run's data is now.

    Attributes:
        fingerprint: Of the sets, as provenance keeps it; those of files with a digest of them all.
        contents: A digest of each file, by set and name.
    """

    def __init__(
        self, datamodule: SegmentationDataModule, cache: Path, base: Mapping[str, Any]
    ) -> None:
        """
        Args:
            datamodule: Set up.
            cache: Folder that keeps the digests of files that nobody touched.
            base: The fingerprint of the data that is mixed in or scored beside it, if any.
        """
        files = datamodule.files()
        found = datamodule.fingerprint()
        if datamodule.backgrounds:
            files = {**files, "backgrounds": datamodule.backgrounds}
            found = {**found, "backgrounds": {"count": len(datamodule.backgrounds)}}
        if datamodule.base is not None:
            files |= {f"base/{use}": of_base for use, of_base in datamodule.base.files().items()}
        self.fingerprint = {**found, **base}
        self.contents = {
            use: contents(found, cache) for use, found in files.items() if use in self.fingerprint
        }
        for use, digests in self.contents.items():
            self.fingerprint[use] = {**self.fingerprint[use], "contents": _digest(digests)}

    def write(self, folder: Path) -> None:
        """Note the digests of all files in the run's folder."""
        atomic_write(folder / DATA, json.dumps(self.contents) + "\n")

    def differences(self, folder: Path, before: Mapping[str, Any]) -> list[str]:
        """What is not as it was, a sentence for each set.

        Args:
            folder: Of the run.
            before: The fingerprint that its provenance has.
        """
        noted = read_contents(folder)
        found = []
        for use in [*before, *(use for use in self.fingerprint if use not in before)]:
            old, new = before.get(use), self.fingerprint.get(use)
            if old is None or new is None:
                found.append(f"{use} {'is new' if old is None else 'is gone'}")
            elif any(new.get(key) != old[key] for key in old):
                found.append(f"{use}: {_named(noted.get(use), self.contents.get(use), old, new)}")
        return found


def require_same(now: DataState, folder: Path, accept: bool) -> dict[str, Any]:
    """Refuse data that is not what the run was trained on so far.

    Returns:
        What differs and both fingerprints, where that is accepted; nothing where nothing does.

    Raises:
        UserError: Something differs, and is not accepted.
    """
    before = provenance.read(folder).get("data")
    if before is None:
        noted = read_contents(folder)
        before = {use: {"contents": _digest(digests)} for use, digests in noted.items()}
    if not before:
        return {}
    found = now.differences(folder, before)
    if found and not accept:
        raise UserError(
            f"the data of {folder} changed since it was trained on: {'; '.join(found)}. Put the"
            f" files back, or go on with the data as it is: resume={folder} resume_data=accept"
        )
    return {"differs": found, "before": before, "after": now.fingerprint} if found else {}


def require_taught_by(now: DataState, teacher: Path, accept: bool) -> None:
    """Refuse a teacher that was trained on other images than its pupil will be.

    Raises:
        UserError: With what differs.
    """
    old, new = read_contents(teacher).get("train"), now.contents.get("train")
    if old is None or new is None or old == new or accept:
        return
    raise UserError(
        f"the ground-truth encoder in {teacher} was trained on other data:"
        f" {_named(old, new, {}, {})}. Remove that folder to train it anew, or go on with it:"
        " resume_data=accept"
    )


def read_contents(folder: Path) -> Contents:
    """The digests that a run noted; none where it did not.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / DATA
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(digests, dict) for digests in found.values()):
            raise ValueError("not digests by set")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove it: changed data is then noticed, but not which"
            " file"
        ) from None
    return found


def _digest(digests: Mapping[str, str]) -> str:
    lines = "".join(f"{name}|{digest}\n" for name, digest in sorted(digests.items()))
    return bytes_hash(lines.encode())


def _named(
    old: Mapping[str, str] | None,
    new: Mapping[str, str] | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> str:
    if old is None or new is None or old == new:
        keys = [key for key in before if before[key] != after.get(key)]
        return ", ".join(f"{key} was {before[key]}, is {after.get(key)}" for key in keys)
    changed = {
        "replaced": [name for name in old if name in new and old[name] != new[name]],
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
    }
    return ", ".join(
        f"{len(names)} file{'s' * (len(names) != 1)} {what} ({_listed(names)})"
        for what, names in changed.items()
        if names
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown
