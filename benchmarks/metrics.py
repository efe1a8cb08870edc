"""Speed of scoring an image by all metrics at once, beside PySODMetrics, in one run.

Both sides score the same synthetic pair on one thread and must agree; times are medians of CPU
time. The last table is of whole files: reading two PNGs alone, reading and scoring them, and how
much faster two processes are. `benchmarks.metrics_kernels` has the single heavy metrics.

    python -m benchmarks.metrics [--sizes 1600x2400 3000x4000] [--repeats 3]
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from py_sod_metrics import MAE, Emeasure, FmeasureV2, Smeasure
from py_sod_metrics.fmeasurev2 import FmeasureHandler

from benchmarks.metrics_kernels import fine_pair, median_ms, peer_weighted_f
from src.evaluation.matching import MapPair
from src.evaluation.read_map import read_map
from src.evaluation.scoring import score_files
from src.evaluation.stored_scores import PairContent
from src.metrics import pool, score_image
from tests.metrics import plain

CURVES = ["mae", "s_measure", "max_f", "mean_f", "adp_f", "max_e", "mean_e", "adp_e"]
HEAVY = ["weighted_f", "hce"]
FILES = 16


def peer_curves(prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """MAE, S, E and F of PySODMetrics under our names."""
    handler = FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=0.3)
    measures = {"mae": MAE(), "sm": Smeasure(), "em": Emeasure(), "": FmeasureV2({"fm": handler})}
    found: dict[str, Any] = {}
    for measure in measures.values():
        measure.step(prediction, target)
        found |= measure.get_results()
    f, e = found["fm"], found["em"]
    values = {"mae": found["mae"], "s_measure": found["sm"], "max_e": e["curve"].max()}
    values |= {"mean_e": e["curve"].mean(), "adp_e": e["adp"], "adp_f": np.mean(f["adaptive"])}
    values |= {"max_f": np.max(f["dynamic"]), "mean_f": np.mean(f["dynamic"])}
    return values


def peer_all(prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """The same, weighted F, and HCE in its plain form with scikit-image's skeleton."""
    heavy = {"weighted_f": peer_weighted_f(prediction, target)}
    heavy["hce"] = sum(plain.hce(prediction > 128, target > 128))
    return peer_curves(prediction, target) | heavy


def agree(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=1e-9, err_msg=name)


def compare(height: int, width: int, repeats: int) -> None:
    pair = fine_pair(height, width)
    print(f"\n{height}×{width}\n{'measures':<24}{'peer ms':>10}{'ours ms':>10}{'ratio':>8}")
    rows: dict[str, tuple[list[str], Callable[..., dict[str, float]]]] = {
        "MAE + S + E + F": (CURVES, peer_curves),
        "… + weighted F + HCE": (CURVES + HEAVY, peer_all),
    }
    for title, (names, peer) in rows.items():
        agree(score_image(*pair, names), peer(*pair))
        slow = median_ms(partial(peer, *pair), repeats)
        fast = median_ms(partial(score_image, *pair, names), 3 * repeats)
        print(f"{title:<24}{slow:>10.0f}{fast:>10.1f}{slow / fast:>7.1f}x", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        of_files(_write(Path(folder), *pair), repeats)


def of_files(pair: MapPair, repeats: int) -> None:
    names = CURVES + HEAVY
    reading = median_ms(lambda: (read_map(pair.map), read_map(pair.target)), 3 * repeats)
    both = median_ms(lambda: score_from_disk(pair, names), 3 * repeats)
    print(f"reading two PNGs {reading:.0f} ms, scoring beside it {both - reading:.0f} ms: ", end="")
    print(f"{(both - reading) / reading:.2f}x the reading")
    seconds = {workers: _wall(pair, names, workers) for workers in (1, 2)}
    print(
        f"{FILES} pairs of files: 1 process {seconds[1]:.2f} s, 2 processes {seconds[2]:.2f} s: ",
        end="",
    )
    print(
        f"{seconds[1] / seconds[2]:.2f}x, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def score_from_disk(pair: MapPair, names: list[str]) -> None:
    """Read and score a pair as `finecut evaluate` does."""
    content = PairContent(pair.map.read_bytes(), pair.target.read_bytes())
    score_files(pair._replace(map_scale=255, target_scale=255), content, names, None)


def _wall(pair: MapPair, names: list[str], workers: int) -> float:
    workforce = pool(workers)
    list(workforce.map(score_from_disk, [pair] * workers, [names] * workers))
    start = time.perf_counter()
    list(workforce.map(score_from_disk, [pair] * FILES, [names] * FILES))
    return time.perf_counter() - start


def _write(folder: Path, prediction: np.ndarray, target: np.ndarray) -> MapPair:
    paths = folder / "prediction.png", folder / "truth.png"
    for path, gray in zip(paths, (prediction, target), strict=True):
        cv2.imwrite(str(path), gray)
    return MapPair("set", "name", *paths)


def peak_memory(height: int = 4000, width: int = 6000) -> None:
    """Peak of a fresh process that reads and scores one pair of files."""
    names = CURVES + HEAVY + ["mba", "biou", "max_f_dis"]
    with tempfile.TemporaryDirectory() as folder:
        pair = _write(Path(folder), *fine_pair(height, width))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            peak = fresh.submit(_peak_of, pair, names).result()
    print(f"\n{height}×{width}, all metrics: peak {peak:.0f} MB in the scoring process")


def _peak_of(pair: MapPair, names: list[str]) -> float:
    score_from_disk(pair, names)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1600x2400", "3000x4000"])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    for size in arguments.sizes:
        height, width = map(int, size.split("x"))
        compare(height, width, arguments.repeats)
    peak_memory()


if __name__ == "__main__":
    main()
