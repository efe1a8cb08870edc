"""Mean absolute and mean squared error (Perazzi et al., "Saliency filters", CVPR 2012)."""

from src.metrics._maps import Counts, Levels
from src.metrics._record import variants


def mean_absolute_error(histogram: Counts, levels: Levels) -> float:
    """Mean of |value − target| over the pixels, in [0, 1]; 0 is best.

    Args:
        histogram: `(2, 256)`: background and foreground, gray level.
        levels: Value of each gray level, `(256,)`.
    """
    background, foreground = histogram
    return float(background @ levels + foreground @ (1 - levels)) / int(histogram.sum())


def mean_squared_error(histogram: Counts, levels: Levels) -> float:
    """Mean of (value − target)² against the binary target, as InSPyReNet and BiRefNet print it.

    That of alpha mattes, `alpha_mse`, is another. Arguments are those of `mean_absolute_error`.
    """
    background, foreground = histogram
    squares = background @ levels**2 + foreground @ (1 - levels) ** 2
    return float(squares) / int(histogram.sum())


RECORDS = [
    *variants(
        name="mae",
        score="mean absolute error",
        higher_is_better=False,
        of_histogram=lambda one, raw: mean_absolute_error(one.histogram, one.curves(raw).levels),
    ),
    *variants(
        name="mse",
        score="mean squared error against the binary ground truth",
        higher_is_better=False,
        of_histogram=lambda one, raw: mean_squared_error(one.histogram, one.curves(raw).levels),
    ),
]
