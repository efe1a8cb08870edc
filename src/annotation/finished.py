"""What is done already, kept in a file beside the output that survives a kill at any moment."""

import json
from pathlib import Path
from typing import Any

from .boxes import Annotation


class Finished:
    """Annotations of finished images, a line for each image.

    Args:
        path: Of the file.
        key: What the masks depend on. A file that was written under another one is not read.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._known: dict[Any, list[Annotation]] = {}
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        entries = [entry for line in lines if (entry := _read(line)) is not None]
        if entries[:1] == [{"key": key}]:
            self._known = {entry["image_id"]: entry["annotations"] for entry in entries[1:]}
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key}))

    def __len__(self) -> int:
        return len(self._known)

    def get(self, image_id: Any) -> list[Annotation] | None:
        return self._known.get(image_id)

    def add(self, image_id: Any, annotations: list[Annotation]) -> None:
        """Append an image; it is in the file when this returns."""
        self._known[image_id] = annotations
        with self.path.open("a") as file:
            # On a line of its own even if the last one was cut short.
            file.write("\n" + json.dumps({"image_id": image_id, "annotations": annotations}))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _read(line: bytes) -> dict[str, Any] | None:
    """An entry; None for a line that a kill cut short."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    known = isinstance(entry, dict) and (entry.keys() in ({"key"}, {"image_id", "annotations"}))
    return entry if known else None
