"""Runs an exported file beside PyTorch on the same images, and says how far they are apart."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.datamodules.images import read_image
from src.engines.formats import Run
from src.engines.parity import Tolerance, difference, drawing
from src.errors import UserError
from src.inference.sources import find_sources
from src.render import markdown_table

_SIZES = ((480, 640), (333, 217), (768, 1024))
_RUNS, _SECONDS = 5, 5.0  # timed calls of each, and after how long no further one is started
BLANK = (
    "Every mask is of one gray, so that agreement says nothing: are the weights trained, and do "
    "the images show what the model finds? images=FOLDER chooses others"
)


def images(folder: Path | None, count: int = 8) -> dict[str, np.ndarray]:
    """Up to `count` images `(H, W, 3)` of a folder by their path in it; without one, drawings.

    Raises:
        UserError: The folder has none.
    """
    if folder is None:
        return {f"drawing {h}×{w}": drawing(h, w, seed=i) for i, (h, w) in enumerate(_SIZES)}
    return {name: read_image(path) for name, path in image_files(folder, count).items()}


def image_files(folder: Path, count: int, key: str = "images") -> dict[str, Path]:
    """Up to `count` image files of a folder by their path in it.

    Raises:
        UserError: The folder, which is the value of `key`, has none.
    """
    sources = [source for source in find_sources(folder) if not source.is_video][:count]
    if not sources:
        raise UserError(f"{key}={folder} has no image to compare on")
    return {(s.name.parent / s.path.name).as_posix(): s.path for s in sources}


class ParityRow(NamedTuple):
    """One image: differences in gray levels, times in milliseconds.

    contrast: Between the darkest and the brightest pixel of the mask, in gray levels.
    """

    name: str
    size: str
    contrast: float
    graph_max: float
    graph_p99: float
    graph_mean: float
    python_max: float
    python_p99: float
    python_mean: float
    file_ms: float
    python_ms: float

    def within(self, tolerance: Tolerance) -> bool:
        return (
            self.graph_p99 <= tolerance.graph_p99
            and self.graph_mean <= tolerance.graph_mean
            and self.python_mean <= tolerance.python_mean
        )


class ScoreRow(NamedTuple):
    """A metric of the checkpoint's masks and of the file's on one data set; null: undefined."""

    set: str
    metric: str
    checkpoint: float | None
    file: float | None
    difference: float | None

    def __str__(self) -> str:
        return f"{self.set} {self.metric}: " + " ".join(self.cells())

    def cells(self) -> tuple[str, str, str]:
        """Checkpoint, file and difference, with the digits that a small difference needs."""
        checkpoint, file = (
            "–" if value is None else f"{value:.5f}" for value in (self.checkpoint, self.file)
        )
        return checkpoint, file, "–" if self.difference is None else f"{self.difference:+.5f}"


def score_rows(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> tuple[ScoreRow, ...]:
    """Rows of `{"checkpoint" or "file": {data set: {metric: value}}}`."""
    return tuple(
        ScoreRow(name, metric, *map(_defined, (ours, theirs, theirs - ours)))
        for name, metrics in scores["checkpoint"].items()
        for metric, ours in metrics.items()
        for theirs in (scores["file"][name][metric],)
    )


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Parity(NamedTuple):
    """The comparison on all images."""

    rows: list[ParityRow]
    tolerance: Tolerance
    scores: tuple["ScoreRow", ...] = ()

    @property
    def blank(self) -> bool:
        """Whether no mask shows anything, so that agreement says nothing."""
        return all(row.contrast < 1 for row in self.rows)

    @property
    def passed(self) -> bool:
        return not self.blank and all(row.within(self.tolerance) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "tolerance": self.tolerance._asdict(),
            "pictures": [row._asdict() for row in self.rows],
            "scores": [row._asdict() for row in self.scores],
        }

    def __str__(self) -> str:
        """The worst figures beside what is allowed."""
        worst = {
            field: max(getattr(row, field) for row in self.rows) for field in Tolerance._fields
        }
        return ", ".join(
            f"{field.replace('_', ' ')} {value:.3g} (allowed {getattr(self.tolerance, field):g})"
            for field, value in worst.items()
        )


def compare(
    inputs: Mapping[str, np.ndarray], file: Run, graph: Run, python: Run, tolerance: Tolerance
) -> Parity:
    """Compare gray levels of an exported file, its graph in PyTorch, and the Python API.

    Args:
        inputs: What all three are called with, by name.
        file: The exported file.
        graph: The exported module in PyTorch, full precision.
        python: What predict.py does.

    Raises:
        ValueError: Nothing to compare on.
    """
    if not inputs:
        raise ValueError("parity needs at least one image")
    rows = [_row(name, array, file, graph, python) for name, array in inputs.items()]
    return Parity(rows, tolerance)


def _row(name: str, array: np.ndarray, file: Run, graph: Run, python: Run) -> ParityRow:
    found, file_ms = _timed(lambda: file(array))
    reference, python_ms = _timed(lambda: python(array))
    to_graph, to_python = (difference(found, other) for other in (graph(array), reference))
    shape = "×".join(str(side) for side in array.shape)
    return ParityRow(
        name, shape, float(np.ptp(reference)), *to_graph, *to_python, file_ms, python_ms
    )


def _timed(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """The result, and the median time of a call in milliseconds after one to warm up."""
    result = run()
    times: list[float] = []
    while not times or (len(times) < _RUNS and sum(times) < 1000 * _SECONDS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return result, statistics.median(times)


def markdown(parity: Parity, metadata: Mapping[str, str], file: str) -> str:
    """The report of an export."""
    verdict = "passed" if parity.passed else "FAILED"
    limit = parity.tolerance
    lines = [
        f"# {file}: parity {verdict}",
        "",
        "Differences in gray levels of 255. *graph*: the file against the exported module in"
        " PyTorch. *Python*: the file against `Segmenter.mask`, whose resize kernels differ by"
        " rounding. Times are medians on this machine's CPU.",
        "",
        f"Allowed: graph p99 {limit.graph_p99:g}, graph mean {limit.graph_mean:g},"
        f" Python mean {limit.python_mean:g}.",
        "",
    ]
    if parity.blank:
        lines[2:2] = [f"{BLANK}.", ""]
    head = ["image", "size", "contrast", "graph max", "p99", "mean", "Python max", "p99", "mean"]
    rows = [
        [
            *(row.name, row.size, f"{row.contrast:.0f}"),
            *(f"{row.graph_max:.3g}", f"{row.graph_p99:.3g}", f"{row.graph_mean:.4f}"),
            *(f"{row.python_max:.3g}", f"{row.python_p99:.3g}", f"{row.python_mean:.4f}"),
            *(f"{row.file_ms:.0f}", f"{row.python_ms:.0f}"),
        ]
        for row in parity.rows
    ]
    lines.append(markdown_table([*head, "file ms", "Python ms"], rows, "llr"))
    if parity.scores:
        lines += ["Metrics of both on the same images, as `finecut evaluate` computes them:", ""]
        scored = [[row.set, row.metric, *row.cells()] for row in parity.scores]
        columns = ["data", "metric", "checkpoint", "file", "difference"]
        lines.append(markdown_table(columns, scored, "llr"))
    lines.append(markdown_table(["metadata", ""], list(metadata.items()), "l"))
    return "\n".join(lines)
