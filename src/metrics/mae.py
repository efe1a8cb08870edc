"""Mean absolute error (Perazzi et al., "Saliency filters", CVPR 2012)."""

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


RECORDS = variants(
    name="mae",
    score="mean absolute error",
    higher_is_better=False,
    of_image=lambda pair, raw: mean_absolute_error(pair.histogram, pair.curves(raw).levels),
)
