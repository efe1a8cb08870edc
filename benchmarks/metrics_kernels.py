"""Speed of the heavy per-image metrics beside their peers, in one run, on one thread.

Both sides score the same synthetic pair, thin lines and soft edges included, and must agree. Times
are medians of CPU time, so that a busy machine does not blur them; the peers are PySODMetrics,
scikit-image and the plain forms in `tests/metrics`.

    python -m benchmarks.metrics_kernels [--sizes 1600x2400 3000x4000] [--repeats 3]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from py_sod_metrics import (
    ContextMeasure,
    MSIoU,
    SizeInvarianceFmeasureV2,
    WeightedFmeasure,
)
from py_sod_metrics.fmeasurev2 import FmeasureHandler
from skimage.morphology import skeletonize as peer_skeletonize

from src.metrics import score_image
from src.metrics.hce import human_correction_efforts
from src.metrics.kernels.boundary import boundary_iou, mba
from src.metrics.kernels.skeleton import skeletonize
from src.metrics.weighted_f import weighted_f
from tests.metrics import plain

Pair = tuple[np.ndarray, np.ndarray]


def fine_pair(height: int, width: int, seed: int = 0) -> Pair:
    """A prediction and a target with a body, holes, hairs and a mesh; both 8 bit."""
    rng = np.random.default_rng(seed)
    target = _body(rng, height, width)
    unit = min(height, width) / 1000
    spacing = max(6, round(24 * unit))
    rows, columns = slice(height // 10, height // 3), slice(width // 10, width // 3)
    mesh = np.zeros((height, width), np.uint8)
    mesh[rows, columns][:: spacing // 2] = 255
    mesh[rows, columns][:, ::spacing] = 255
    target |= cv2.dilate(mesh, np.ones((2, 2), np.uint8))
    hairs = _hairs(rng, height, width, 150)
    target |= hairs
    found = cv2.erode(target, np.ones((3, 3), np.uint8)) | (hairs & _body(rng, height, width))
    found[_blobs(rng, height, width, 0.004) > 0] ^= 255
    soft = cv2.GaussianBlur(found, (0, 0), 1.5 * max(1.0, unit)).astype(np.int16)
    noise = rng.normal(0, 12, (height, width))
    edge = (soft > 4) & (soft < 251)
    return np.clip(soft + noise * edge, 0, 255).astype(np.uint8), target


def _body(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return np.where(_field(rng, height, width, 12) > 0.5, 255, 0).astype(np.uint8)


def _blobs(rng: np.random.Generator, height: int, width: int, share: float) -> np.ndarray:
    field = _field(rng, height, width, 60)
    return np.where(field > np.quantile(field[::8, ::8], 1 - share), 255, 0).astype(np.uint8)


def _field(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    coarse = rng.random((cells, cells * width // height), np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _hairs(rng: np.random.Generator, height: int, width: int, amount: int) -> np.ndarray:
    canvas = np.zeros((height, width), np.uint8)
    for _ in range(amount):
        turns = np.cumsum(rng.normal(0, 0.08, 200)) + rng.random() * 2 * np.pi
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * min(height, width) / 300
        points = np.cumsum(steps, axis=0) + rng.random(2) * (width, height)
        thickness = int(rng.integers(1, 4))
        cv2.polylines(canvas, [points.astype(np.int32)], False, 255, thickness)
    return canvas


def peer_weighted_f(prediction: np.ndarray, target: np.ndarray) -> float:
    measure = WeightedFmeasure()
    measure.step(prediction, target)
    return float(measure.get_results()["wfm"])


def peer_context(prediction: np.ndarray, target: np.ndarray) -> float:
    measure = ContextMeasure()
    measure.step(prediction, target)
    return float(measure.get_results()["cm"])


def peer_multi_scale(prediction: np.ndarray, target: np.ndarray) -> list[float]:
    measure = MSIoU(with_dynamic=True, with_adaptive=True, with_binary=True)
    measure.step(prediction, target)
    found = measure.get_results()
    curve = np.asarray(found["dynamic"])
    return [float(curve.max()), float(np.mean(found["adaptive"])), float(np.mean(found["binary"]))]


def peer_size_invariant(prediction: np.ndarray, target: np.ndarray) -> list[float]:
    handler = FmeasureHandler(with_dynamic=True, with_adaptive=True, with_binary=True, beta=0.3)
    measure = SizeInvarianceFmeasureV2({"f": handler})
    measure.step(prediction, target)
    found = measure.get_results()["f"]
    return [float(np.mean(found["adaptive"])), float(np.mean(found["binary"]))]


class Case(NamedTuple):
    """A metric: ours, the peer's, from the same two 8-bit maps, and how nearly they agree."""

    ours: Callable[[], Any]
    peer: Callable[[], Any]
    tolerance: float = 1e-9
    repeated: bool = True  # a peer that takes minutes is timed once


def cases(prediction: np.ndarray, target: np.ndarray) -> dict[str, Case]:
    def masks() -> Pair:
        return prediction > 128, target > 128

    def score(*names: str) -> list[float]:
        return list(score_image(prediction, target, names).values())

    def body() -> Pair:
        """Without the hairs: PySODMetrics takes 63 objects at most."""
        opened = cv2.morphologyEx(target, cv2.MORPH_OPEN, np.ones((31, 31), np.uint8))
        return prediction, opened

    few = body()
    mattes = prediction / 255, target / 255
    return {
        "skeleton of the target": Case(
            lambda: skeletonize(target), lambda: peer_skeletonize(target > 128)
        ),
        "HCE with its skeleton": Case(
            lambda: human_correction_efforts(prediction, target), lambda: plain.hce(*masks())
        ),
        "weighted F": Case(
            lambda: weighted_f(prediction, target), lambda: peer_weighted_f(prediction, target)
        ),
        "mBA": Case(lambda: mba(prediction, target), lambda: plain.mba(*masks())),
        "boundary IoU": Case(
            lambda: boundary_iou(prediction, target), lambda: plain.boundary_iou(*masks())
        ),
        "relaxed boundary F": Case(
            lambda: score("relax_f"),
            lambda: [plain.relaxed_f(prediction > 127, target > 127)],
            tolerance=1e-7,
        ),
        "size-invariant F": Case(
            lambda: list(score_image(*few, ["adp_si_f", "bin_si_f"]).values()),
            lambda: peer_size_invariant(*few),
        ),
        "context measure": Case(
            lambda: score("context"), lambda: [peer_context(prediction, target)], tolerance=1e-7
        ),
        "gradient of mattes": Case(
            lambda: score("grad"), lambda: [plain.gradient_error(*mattes)], tolerance=1e-2
        ),
        "connectivity of mattes": Case(
            lambda: score("conn"), lambda: [plain.connectivity_error(*mattes)], tolerance=1e-6
        ),
        "multi-scale IoU": Case(
            lambda: score("max_msiou_pysod", "adp_msiou_pysod", "bin_msiou_pysod"),
            lambda: peer_multi_scale(prediction, target),
            repeated=False,
        ),
    }


def median_ms(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def compare(height: int, width: int, repeats: int) -> None:
    prediction, target = fine_pair(height, width)
    print(f"\n{height}×{width}, {100 * (target > 128).mean():.0f} % foreground, HCE ", end="")
    print(sum(human_correction_efforts(prediction, target)))
    print(f"{'measure':<24}{'peer ms':>10}{'ours ms':>10}{'ratio':>8}")
    for name, case in cases(prediction, target).items():
        start = time.process_time()
        theirs = case.peer()
        once = 1000 * (time.process_time() - start)
        np.testing.assert_allclose(case.ours(), theirs, rtol=0, atol=case.tolerance)
        slow = median_ms(case.peer, repeats) if case.repeated else once
        fast = median_ms(case.ours, 3 * repeats)
        print(f"{name:<24}{slow:>10.0f}{fast:>10.1f}{slow / fast:>7.1f}x", flush=True)


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


if __name__ == "__main__":
    main()
