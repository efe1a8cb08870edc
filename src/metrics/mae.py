"""Mean absolute error (Perazzi et al., "Saliency filters", CVPR 2012)."""

from src.metrics.joint_histogram import Counts, Levels


def mean_absolute_error(histogram: Counts, levels: Levels) -> float:
    """Mean of |value − truth| over the pixels, in [0, 1]; 0 is best.

    Args:
        histogram: `(2, 256)`: background and foreground, grey level.
        levels: Value of each grey level, `(256,)`.
    """
    background, foreground = histogram
    return float(background @ levels + foreground @ (1 - levels)) / int(histogram.sum())
