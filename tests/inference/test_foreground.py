"""The colors behind soft edges."""

import cv2
import numpy as np
import pytest

from src.inference.outputs import Cutout, parse_outputs
from src.processing import foreground
from src.processing.foreground import Method, foreground_colors
from tests.golden_data import arrays, assert_golden, needs_shared

GOLDEN = "17_refine_foreground"
METHODS: tuple[Method, ...] = ("fast", "blur_fusion", "birefnet")


def scene(height: int = 200, width: int = 260) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, alpha and true foreground: a soft warm disc on a varied cold ground."""
    rng = np.random.default_rng(0)

    def field(base: tuple[float, float, float]) -> np.ndarray:
        noise = rng.random((5, 5, 3)).astype(np.float32) * 0.3
        return cv2.resize(noise + np.array(base, np.float32), (width, height)).clip(0, 1)

    foreground, background = field((0.7, 0.2, 0.1)), field((0.0, 0.5, 0.7))
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    alpha = (1 / (1 + np.exp((distance - 60) / 4))).astype(np.float32)
    alpha = np.where(alpha < 0.01, 0, np.where(alpha > 0.99, 1, alpha)).astype(np.float32)
    weight = alpha[..., None]
    return weight * foreground + (1 - weight) * background, alpha, foreground


@pytest.mark.parametrize("method", METHODS)
def test_halo_is_gone(method: Method) -> None:
    image, alpha, target = scene()
    soft = (alpha > 0.05) & (alpha < 0.95)
    found = foreground_colors(image, alpha, method=method)
    assert np.abs(found - target)[soft].mean() < 0.25 * np.abs(image - target)[soft].mean()


def test_solid_colours_are_kept() -> None:
    image, alpha, _ = scene()
    assert np.abs(foreground_colors(image, alpha) - image)[alpha == 1].max() < 1e-6


def test_empty_full_and_tiny_masks() -> None:
    image = np.full((3, 2, 3), 0.25, np.float32)
    for value in (0.0, 1.0):
        for method in METHODS:
            found = foreground_colors(image, np.full((3, 2), value, np.float32), method=method)
            assert np.isfinite(found).all()


@needs_shared
@pytest.mark.parametrize(("method", "form"), [("blur_fusion", "cpu"), ("birefnet", "torch")])
@pytest.mark.parametrize(("case", "side"), [("a", 90), ("b", 90), ("c", 15)])
def test_the_authors_forms_are_met(method: Method, form: str, case: str, side: int) -> None:
    stored = arrays(GOLDEN)
    image = stored[f"{case}_image"].astype(np.float32) / 255
    mask = stored.get(f"{case}_mask_resized", stored[f"{case}_mask"])
    alpha = mask.astype(np.float32) / 255
    found = foreground_colors(image, alpha, method=method, sides=(side, foreground.FINE))
    assert_golden(GOLDEN, f"{case}_{form}_F2", found)
    if side == foreground.COARSE:
        shown = parse_outputs("rgba")[0].render(
            Cutout(stored[f"{case}_image"], mask, method=method)
        )
        off = shown[..., :3] != stored[f"{case}_{form}_u8"]  # where a float is at a level's edge
        assert off.mean() < 1e-3
        assert np.array_equal(shown[..., 3], mask)


@pytest.mark.parametrize("method", METHODS)
def test_strips_give_what_the_whole_gives(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    image, alpha, _ = scene()
    whole = foreground_colors(image, alpha, method=method)
    monkeypatch.setattr(foreground, "_STRIP", 23)
    assert np.abs(foreground_colors(image, alpha, method=method) - whole).max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_what_is_invisible_lends_no_color(method: Method) -> None:
    image, alpha, _ = scene()
    opacity = np.ones_like(alpha)
    opacity[:, :90] = 0
    found = []
    for hidden in (0.0, 1.0):
        shown = image.copy()
        shown[:, :90] = hidden
        found.append(foreground_colors(shown, alpha, opacity, method)[:, 100:])
    assert np.abs(found[0] - found[1]).max() < 1e-5
