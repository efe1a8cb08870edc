"""Errors of alpha mattes, of which prediction and ground truth are soft.

Of the whole image and with a trimap as GFM and P3M print them (identical code); `…_unknown` is the
Python port of DIM's evaluation that GCA-, FBA- and MG-Matting share. Levels are `v / 255`, and
nothing is stretched or binarized. The gradient and connectivity errors are those of Rhemann et al.,
"A perceptually motivated online benchmark for image matting", CVPR 2009.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from src.errors import UserError
from src.metrics._maps import UNKNOWN, Counts, Curve, Gray, Mask
from src.metrics._record import UNSTRETCHED, WHOLE_IMAGE, MetricRecord

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair

Kernels = tuple[Curve, Curve]

SIGMA = 1.4  # of the Gaussian whose derivative is the gradient
PER = 1000  # sums are printed in thousands of pixels
_BAND = 1 << 19  # pixels of the rows that are filtered together
_GAP = 64  # equal columns between others, across which those are filtered apart
# The levels at which what is connected is looked at; in floating point as numpy's arange has them.
STEPS = np.arange(0, 1.1, 0.1)
# Rows of the sums of errors, by the trimap's 0, 128 and 255, and their columns.
BACKGROUND, UNCERTAIN, FOREGROUND = range(3)
COUNT, ERROR, SQUARE, KNOWN_ERROR, KNOWN_SQUARE = range(5)
_CONNECTED = 0.15  # of alpha above the level of connection, below which a pixel counts as connected


def gradient_error(
    prediction: Gray, target: Gray, kernels: Kernels, border: int, where: Gray | None = None
) -> float:
    """Sum of the squared difference of the two gradients' magnitudes, in single precision.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`.
        kernels: A Gaussian and its derivative, of equal length.
        border: How the maps go on outside, OpenCV's number.
        where: Counts only where this is not 0, `(H, W)`.
    """
    reach, total = len(kernels[0]) // 2, 0.0
    height, width = target.shape
    framed = [
        np.asarray(cv2.copyMakeBorder(gray, reach, reach, reach, reach, border), np.uint8)
        for gray in (prediction, target)
    ]
    band = max(1, _BAND // width)
    for top in range(0, height, band):
        ours, theirs = (gray[top : top + band + 2 * reach] for gray in framed)
        for left, right in _stretches((ours != theirs).any(axis=0), 2 * reach):
            around = np.s_[:, left : right + 2 * reach]
            gradients = _gradient(ours[around], kernels), _gradient(theirs[around], kernels)
            mask = None
            if where is not None:
                mask = np.ascontiguousarray(where[top : top + band, left:right])
            total += cv2.norm(*gradients, cv2.NORM_L2SQR, mask)
    return total / 255**2


def _stretches(changed: Mask, reach: int) -> list[tuple[int, int]]:
    """First column and column behind the last of what is filtered together: all the columns x that
    change with one of the framed columns x to x + reach.
    """
    places = np.flatnonzero(changed)
    if not places.size:
        return []
    ends = np.flatnonzero(np.diff(places) > _GAP)
    first, last = places[np.append(0, ends + 1)], places[np.append(ends, -1)]
    width = len(changed) - reach
    starts, stops = np.maximum(first - reach, 0), np.minimum(last + 1, width)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _gradient(around: Gray, kernels: Kernels) -> np.ndarray:
    """The gradient's magnitude, float32 in gray levels, of what needs nothing outside."""
    smooth, slope = (kernel.astype(np.float32) for kernel in kernels)
    reach = len(smooth) // 2
    along_x = np.asarray(cv2.sepFilter2D(around, cv2.CV_32F, slope, smooth), np.float32)
    along_y = np.asarray(cv2.sepFilter2D(around, cv2.CV_32F, smooth, slope), np.float32)
    height, width = around.shape
    # Not cv2.magnitude: its last bits depend on where in memory the arrays lie.
    along_x *= along_x
    along_y *= along_y
    along_x += along_y
    magnitude = np.sqrt(along_x, out=along_x).reshape(height, width)
    return magnitude[reach : height - reach, reach : width - reach]


def _gaussian(reach: int) -> Kernels:
    """A sampled Gaussian and its derivative."""
    x = np.arange(-reach, reach + 1)
    smooth = np.exp(-(x**2) / (2 * SIGMA**2))
    smooth /= smooth.sum()
    return smooth, -x / SIGMA**2 * smooth


def _unit_gaussian(reach: int) -> Kernels:
    """The same, each of length 1."""
    smooth, slope = _gaussian(reach)
    return smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)


def connectivity_error(
    prediction: Gray, target: Gray, where: Gray | None = None, dim_port: bool = False
) -> float:
    """Sum of the differences of the degrees to which pixels are connected to the largest part.

    At each of ten levels, the largest 4-connected part where both maps reach the level is taken,
    the first in the order of rows of equal ones. A pixel is connected up to the last level before
    the first at which it lies outside. Levels that no pixel reaches are skipped, so that an empty
    ground truth has no error.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`.
        where: Counts only where this is not 0, `(H, W)`.
        dim_port: As the port of DIM's code, to which what lies outside all parts is one of them,
            and which keeps levels in double precision.
    """
    # numba, once a map is scored
    from src.metrics.kernels.connected import connected_steps
    from src.metrics.kernels.mattes import connectivity_sum

    levels = np.arange(256) / 255
    reached = (levels >= STEPS[1:, None]).sum(axis=0, dtype=np.uint8)
    both = cv2.LUT(np.minimum(prediction, target), reached).reshape(target.shape).astype(np.uint8)
    steps = connected_steps(both, len(STEPS) - 1, background_votes=dim_port)
    kept = STEPS if dim_port else STEPS.astype(np.float32).astype(np.float64)
    above = levels - kept[:, None]
    phi = 1 - above * (above >= _CONNECTED)
    if where is None:
        where = np.broadcast_to(np.uint8(1), target.shape)
    return connectivity_sum(prediction, target, steps, where, phi)


def _sums(pair: "ScoredPair") -> Counts:
    """Sums of errors by region of the trimap; without one, all is one region."""
    from src.metrics.kernels.mattes import error_sums

    trimap = np.zeros_like(pair.target) if pair.trimap is None else pair.trimap
    return error_sums(pair.prediction, pair.target, trimap)


def _unknown(pair: "ScoredPair") -> Gray:
    assert pair.trimap is not None
    return (pair.trimap == UNKNOWN).view(np.uint8)


def _whole(pair: "ScoredPair", column: int) -> float:
    """A sum over the image, with alpha in [0, 1]."""
    return _in_alpha(pair.share(_sums)[:, column].sum(), column)


def _in_region(pair: "ScoredPair", row: int, column: int) -> float:
    return _in_alpha(pair.share(_sums)[row, column], column)


def _in_alpha(total: np.integer, column: int) -> float:
    return float(total) / (255**2 if column in (SQUARE, KNOWN_SQUARE) else 255)


def _uncertain_pixels(pair: "ScoredPair") -> int:
    return int(pair.share(_sums)[UNCERTAIN, COUNT])


def _per_uncertain_pixel(pair: "ScoredPair", column: int) -> float:
    pixels = _uncertain_pixels(pair)
    return _whole(pair, column) / pixels if pixels else float("nan")


def _grad(pair: "ScoredPair") -> float:
    kernels = _gaussian(round(4 * SIGMA))  # as far as SciPy's filter goes
    return gradient_error(pair.prediction, pair.target, kernels, cv2.BORDER_REFLECT) / 10


def _grad_unknown(pair: "ScoredPair") -> float:
    where, kernels = pair.share(_unknown), _unit_gaussian(4)
    border = cv2.BORDER_REPLICATE
    return gradient_error(pair.prediction, pair.target, kernels, border, where) / PER


def _conn_unknown(pair: "ScoredPair") -> float:
    where = pair.share(_unknown)
    return connectivity_error(pair.prediction, pair.target, where, dim_port=True) / PER


_SUM, _MEAN = "sum of absolute errors / 1000", "mean absolute error"
_GRADIENT = "squared difference of the gradients' magnitudes (Gaussian derivative, sigma 1.4)"
_CONNECTIVITY = "difference of connectivity to the largest 4-connected part (step 0.1) / 1000"
_FILLED = "prediction set to the trimap where it knows; unknown pixels count"


class _Error(NamedTuple):
    """A metric of mattes: its name, what is computed, and how."""

    name: str
    score: str
    of_image: "Callable[[ScoredPair], float]"


_OF_IMAGE = (
    _Error("sad", _SUM, lambda pair: _whole(pair, ERROR) / PER),
    _Error("mad", _MEAN, lambda pair: _whole(pair, ERROR) / pair.target.size),
    _Error("alpha_mse", "mean squared error", lambda pair: _whole(pair, SQUARE) / pair.target.size),
    _Error("grad", f"{_GRADIENT} / 10", _grad),
    _Error(
        "conn",
        f"{_CONNECTIVITY}, 0 for an empty ground truth",
        lambda pair: connectivity_error(pair.prediction, pair.target) / PER,
    ),
)
# With a trimap, and the pixels that are compared.
_WITH_TRIMAP = (
    (_FILLED, _Error("sad_trimap", _SUM, lambda pair: _whole(pair, KNOWN_ERROR) / PER)),
    (
        _FILLED,
        _Error(
            "mad_trimap",
            f"{_MEAN}, undefined without an unknown pixel",
            lambda pair: _per_uncertain_pixel(pair, KNOWN_ERROR),
        ),
    ),
    (
        _FILLED,
        _Error(
            "alpha_mse_trimap",
            "mean squared error, undefined without an unknown pixel",
            lambda pair: _per_uncertain_pixel(pair, KNOWN_SQUARE),
        ),
    ),
    (
        "pixels whose trimap is 255",
        _Error("sad_fg", _SUM, lambda pair: _in_region(pair, FOREGROUND, ERROR) / PER),
    ),
    (
        "pixels whose trimap is 0",
        _Error("sad_bg", _SUM, lambda pair: _in_region(pair, BACKGROUND, ERROR) / PER),
    ),
    *(
        ("pixels whose trimap is 128, by the Python port of DIM's evaluation", error)
        for error in (
            _Error("sad_unknown", _SUM, lambda pair: _in_region(pair, UNCERTAIN, ERROR) / PER),
            _Error(
                "alpha_mse_unknown",
                "mean squared error, 0 without an unknown pixel",
                lambda pair: _in_region(pair, UNCERTAIN, SQUARE) / (_uncertain_pixels(pair) + 1e-8),
            ),
            _Error("grad_unknown", f"{_GRADIENT}, 9x9 of unit norm, / 1000", _grad_unknown),
            _Error(
                "conn_unknown",
                f"{_CONNECTIVITY}, where the background may be the largest part",
                _conn_unknown,
            ),
        )
    ),
)


def _record(error: _Error, matching: str, needs_trimap: bool) -> MetricRecord:
    def of_image(pair: "ScoredPair") -> float:
        if needs_trimap and pair.trimap is None:
            raise UserError(f"{error.name} needs the image's trimap, and none was given")
        return error.of_image(pair)

    return MetricRecord(
        name=error.name,
        prediction=UNSTRETCHED,
        target="ground truth's alpha, v/255 as it is",
        matching=matching,
        score=error.score,
        of_image=of_image,
        soft_target=True,
        needs_trimap=needs_trimap,
        higher_is_better=False,
        may_be_undefined="undefined" in error.score,
    )


RECORDS = [
    *(_record(error, WHOLE_IMAGE, False) for error in _OF_IMAGE),
    *(_record(error, matching, True) for matching, error in _WITH_TRIMAP),
]
