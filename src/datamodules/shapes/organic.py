"""Grown things with thin parts: trees, ferns, hair, insects, dandelions."""

import numpy as np

from .pen import Pen, circle, ellipse, path


def tree(pen: Pen, rng: np.random.Generator) -> None:
    """A bare tree: each branch forks into two or three thinner ones."""
    starts, angles = np.array([[0.0, 0.95]]), np.array([-np.pi / 2 + rng.normal(0, 0.06)])
    length, width = rng.uniform(0.5, 0.6), rng.uniform(0.1, 0.17)
    spread, shrink = rng.uniform(0.35, 0.55), rng.uniform(0.7, 0.76)
    for _ in range(7):
        reach = length * rng.uniform(0.7, 1.15, len(angles))
        ends = starts + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pen.stroke(np.stack([starts, ends], axis=1), width)
        forks = 3 if rng.random() < 0.25 and len(angles) < 60 else 2
        fan = np.linspace(-spread, spread, forks)
        angles = (angles[:, None] + fan + rng.normal(0, 0.2, (len(angles), forks))).ravel()
        starts = np.repeat(ends, forks, axis=0)
        length, width = length * shrink, width * 0.62


def fern(pen: Pen, rng: np.random.Generator) -> None:
    """Leaflets on both sides of a bent stem."""
    count = int(rng.integers(9, 19))
    t = np.linspace(0, 1, count)
    bend = rng.uniform(-0.4, 0.4)
    stem = np.stack([bend * (t**2 - 0.4), 0.95 - 1.9 * t], axis=1)
    pen.stroke([stem], rng.uniform(0.02, 0.05))
    length = rng.uniform(0.55, 0.85) * (1 - 0.85 * t) * np.minimum(1, 0.4 + 3 * t)
    slope, fat = rng.uniform(0.2, 0.7), rng.uniform(0.12, 0.3)
    for (x, y), reach in zip(stem, length, strict=True):
        for side in (-1, 1):
            leaf = ellipse(reach, 0, reach, reach * fat / 2 + 0.008, 20)
            turn = -slope if side > 0 else np.pi + slope
            cos, sin = np.cos(turn), np.sin(turn)
            pen.fill([leaf * [0.55, 1] @ np.array([[cos, sin], [-sin, cos]]) + (x, y)])


def head(pen: Pen, rng: np.random.Generator) -> None:
    """A head on shoulders, with hair that stands off in single strokes."""
    pen.fill([ellipse(0, -0.1, 0.36, 0.46), _shoulders(rng)])
    count = int(rng.integers(120, 260))
    roots = rng.uniform(np.pi * 0.95, np.pi * 2.05, count)
    start = np.stack([0.34 * np.cos(roots), -0.12 + 0.44 * np.sin(roots)], axis=1)
    length = rng.uniform(0.12, 0.3) + rng.exponential(0.12, count)
    droop = rng.uniform(0.0, 0.9)
    t = np.linspace(0, 1, 7)[:, None]
    direction = np.stack([np.cos(roots), np.sin(roots)], axis=1) + rng.normal(0, 0.25, (count, 2))
    curl = rng.normal(0, 0.12, (count, 2))
    fall = np.array([0.0, droop])
    hair = [
        s + min(reach, 0.55) * (t * d + t**2 * (fall + c))
        for s, d, c, reach in zip(start, direction, curl, length, strict=True)
    ]
    pen.stroke(hair, rng.uniform(0.008, 0.016))


def _shoulders(rng: np.random.Generator) -> np.ndarray:
    """A neck that widens into shoulders."""
    wide = rng.uniform(0.6, 0.85)
    return path(
        (-0.14, 0.2),
        (0.14, 0.2),
        (0.18, 0.5),
        (wide, 0.68),
        (wide + 0.08, 0.98),
        (-wide - 0.08, 0.98),
        (-wide, 0.68),
        (-0.18, 0.5),
    )


def insect(pen: Pen, rng: np.random.Generator) -> None:
    """A body in three parts with six or eight jointed legs and feelers."""
    fat = rng.uniform(0.14, 0.26)
    pen.fill([ellipse(0, 0.32, fat, 0.38), ellipse(0, -0.15, fat * 0.75, 0.2)])
    pen.fill([circle(0, -0.42, fat * 0.65)])
    pairs = int(rng.integers(3, 5))
    rise = np.linspace(-0.75, 0.8, pairs)
    legs = []
    for side in (-1, 1):
        for i, aim in enumerate(rise):
            hip = (side * fat * 0.5, -0.2 + 0.3 * i / pairs)
            knee = (side * rng.uniform(0.42, 0.6), aim * 0.7 - rng.uniform(0, 0.2))
            legs.append(
                path(hip, knee, (side * rng.uniform(0.8, 0.98), aim + rng.uniform(0, 0.18)))
            )
        feeler = path(
            (side * 0.05, -0.5), (side * 0.2, -0.75), (side * rng.uniform(0.2, 0.5), -0.95)
        )
        pen.stroke([feeler], 0.018)
    pen.stroke(legs, rng.uniform(0.025, 0.05))


def dandelion(pen: Pen, rng: np.random.Generator) -> None:
    """A ball of seeds, each a ray that ends in a tuft, on a bent stem."""
    count = int(rng.integers(22, 46))
    angle = rng.uniform(0, 0.3) + np.linspace(0, 2 * np.pi, count, endpoint=False)
    reach = rng.uniform(0.4, 0.56, count)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x, y = 0.0, -0.35
    centre = np.array([x, y])
    tips = centre + reach[:, None] * ray
    pen.stroke(np.stack([np.broadcast_to(centre, tips.shape), tips], axis=1), 0.014)
    for fan in (-0.6, -0.2, 0.2, 0.6):
        tuft = np.stack([np.cos(angle + fan), np.sin(angle + fan)], axis=1)
        pen.stroke(np.stack([tips, tips + 0.1 * tuft], axis=1), 0.012)
    pen.fill([circle(x, y, rng.uniform(0.08, 0.14))])
    bend = rng.uniform(-0.3, 0.3)
    t = np.linspace(0, 1, 12)
    stem = np.stack([bend * t**2, -0.35 + 1.33 * t], axis=1)
    pen.stroke([stem], rng.uniform(0.03, 0.055))
