"""What each measure's name stands for, in words that are stored beside its numbers.

Two numbers may share a table only if their protocols are the same text. The version in a protocol
rises when a change of this code changes a number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from src.errors import UserError

RAW = "_raw"
INTERACTIVE_THRESHOLDS = tuple(range(10, 100, 10))

_STRETCHED = "prediction min-max normalised per image"
_UNSTRETCHED = "prediction v/255, not normalised"
_AT_128 = "raw prediction > 128"
_CURVE = "256 thresholds (>=)"
_F = "F, beta^2 0.3"
_E = "E, sum / (N - 1)"
_MEAN_CURVE = "curves averaged over images, then"

_OF_VALUES = {
    "mae": "mean absolute error; mean over images",
    "s_measure": "S, alpha 0.5, sample variance, an empty quadrant weighs 0; mean over images",
    "weighted_f": "weighted F, beta^2 1; mean over images",
    "max_f": f"{_F}, {_CURVE}; F {_MEAN_CURVE} max",
    "mean_f": f"{_F}, {_CURVE}; F {_MEAN_CURVE} mean",
    "adp_f": f"{_F}, threshold 2 x mean, at most 1; mean over images",
    "max_f_dis": f"{_F}, {_CURVE}; PRECISION AND RECALL averaged over images first, then F, max",
    "max_e": f"{_E}, {_CURVE}; E {_MEAN_CURVE} max",
    "mean_e": f"{_E}, {_CURVE}; E {_MEAN_CURVE} mean",
    "adp_e": f"{_E}, threshold 2 x mean, at most 1; mean over images",
    "max_iou": f"IoU, {_CURVE}; IoU {_MEAN_CURVE} max",
    "mean_iou": f"IoU, {_CURVE}; IoU {_MEAN_CURVE} mean",
    "adp_iou": "IoU, threshold 2 x mean, at most 1; mean over images",
}
_INTERACTIVE = "void removed, 1 if both are empty; mean over images"
_OF_PIXELS = {
    "max_f_dis_255": f"{_F}, 255 bins of single precision (IS-Net's log); {_STRETCHED}; "
    "PRECISION AND RECALL averaged over images first, then F, max",
    "hce": f"human correction efforts, relax 5, epsilon 2.0; {_AT_128}; mean over images",
    "hce_pysod": "human correction efforts by PySODMetrics, relax 5, epsilon 2.0; "
    f"{_STRETCHED}, > 0.5; mean over images",
    "mba": f"mean boundary accuracy, 5 radii from 1 to (w + h) / 300; {_AT_128}; "
    "mean over images with a boundary in the truth",
    "biou": f"boundary IoU, dilation 0.02 of the diagonal; {_AT_128}; mean over images",
    "iou": f"IoU, raw prediction / 255 > 0.5; {_INTERACTIVE}",
    "error_percent": "wrong pixels in percent of the truth's tight box, "
    "raw prediction / 255 > 0.5; void removed; mean over images",
    "mapr_50": "share of instances with IoU > 0.5, mean over categories; void removed",
    "mapr_70": "share of instances with IoU > 0.7, mean over categories; void removed",
    "mapr_vol": "mean over thresholds 0.1 to 0.9 of the share of instances with a higher IoU, "
    "mean over categories; void removed",
    "noc85": "clicks to reach IoU 0.85, at most 20; mean over images",
    "noc90": "clicks to reach IoU 0.90, at most 20; mean over images",
}
_OF_PIXELS |= {
    f"iou_{t}": f"IoU, raw prediction / 255 > {t / 100:.1f}; {_INTERACTIVE}"
    for t in INTERACTIVE_THRESHOLDS
}

HIGHER_IS_BETTER = {"mae": False, "hce": False, "hce_pysod": False, "error_percent": False} | {
    "noc85": False,
    "noc90": False,
}


@dataclass(frozen=True)
class Protocol:
    """How a number was made.

    Attributes:
        name: Of the measure.
        text: Everything that changes the number.
        version: Of the code's meaning of that text.
    """

    name: str
    text: str
    version: int = 1

    @property
    def id(self) -> str:
        """Short name of the protocol, `max_f/1`."""
        return f"{self.name}/{self.version}"


PROTOCOLS: dict[str, Protocol] = {
    **{n: Protocol(n, f"{text}; {_STRETCHED}") for n, text in _OF_VALUES.items()},
    **{n + RAW: Protocol(n + RAW, f"{text}; {_UNSTRETCHED}") for n, text in _OF_VALUES.items()},
    **{n: Protocol(n, text) for n, text in _OF_PIXELS.items()},
}


def protocol(name: str) -> Protocol:
    """The protocol of a measure. Raises UserError for a name that there is not, listing all."""
    if name not in PROTOCOLS:
        raise UserError(f"no measure {name!r}; there are: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def describe(name: str) -> str:
    """The protocol in one line, with its id: equal lines mean comparable numbers."""
    of = protocol(name)
    return f"{of.id}: {of.text}; 8 bit at the truth's size, truth > 128"


def higher_is_better(name: str) -> bool:
    """Whether a greater number is a better one."""
    protocol(name)
    return HIGHER_IS_BETTER.get(name.removesuffix(RAW), True)


def require_same(ours: Mapping[str, str], theirs: Mapping[str, str], names: Iterable[str]) -> None:
    """Refuse to put numbers of two protocols side by side.

    Args:
        ours: `describe(name)` by measure, as stored beside the numbers.
        theirs: The same of the other numbers.
        names: The measures to be compared.

    Raises:
        UserError: the texts of a measure differ or one is missing; both are shown.
    """
    for name in names:
        left, right = ours.get(name, "not stored"), theirs.get(name, "not stored")
        if left != right or name not in ours:
            raise UserError(
                f"{name} was computed by two protocols and must not be compared:\n"
                f"  {left}\n  {right}\nScore both again with one version of finecut."
            )
