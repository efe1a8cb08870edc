"""Figures as files: the same numbers give the same bytes."""

import io

import matplotlib
from matplotlib.figure import Figure

from src.render import one_line

FORMATS = ("png", "pdf", "svg")
# Without the time of drawing.
_METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save_figure(figure: Figure, name: str) -> bytes:
    """A figure as `png`, `pdf` or `svg`."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "finecut"}):  # names of its parts, else drawn
        figure.savefig(buffer, format=name, dpi=120, metadata=_METADATA[name])
    return buffer.getvalue()


def figure_text(text: str) -> str:
    """Text that Matplotlib draws as it is: `$` would start a formula."""
    return one_line(text).replace("$", r"\$")
