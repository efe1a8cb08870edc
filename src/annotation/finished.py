"""What is done already, kept in a file beside the output that survives a kill at any moment."""

from pathlib import Path
from typing import Any

from src.line_file import append_line, read_lines

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
        lines = read_lines(path)
        if lines[:1] == [{"key": key}]:
            self._known = {
                line["image_id"]: line["annotations"]
                for line in lines
                if line.keys() == {"image_id", "annotations"}
            }
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            append_line(path, {"key": key})

    def __len__(self) -> int:
        return len(self._known)

    def get(self, image_id: Any) -> list[Annotation] | None:
        return self._known.get(image_id)

    def add(self, image_id: Any, annotations: list[Annotation]) -> None:
        """Append an image; it is in the file when this returns."""
        self._known[image_id] = annotations
        append_line(self.path, {"image_id": image_id, "annotations": annotations})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
