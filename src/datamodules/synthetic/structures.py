"""Thin things to draw: wheels, fences, nets, chains and text; trees, ferns, hair and insects."""

import string

import cv2
import numpy as np

from src.datamodules.synthetic.canvas import Canvas, circle, ellipse, path, rectangle, spokes


def wheel(pen: Canvas, rng: np.random.Generator) -> None:
    """A tyre, a hub and straight or crossed spokes."""
    _wheel(pen, rng, 0.0, 0.0, 0.93, tyre=rng.uniform(0.04, 0.13), count=int(rng.integers(8, 29)))


def bicycle(pen: Canvas, rng: np.random.Generator) -> None:
    radius = rng.uniform(0.4, 0.47)
    tyre, tube = rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.055)
    rear, front = (-0.53, 0.3), (0.53, 0.3)
    count = int(rng.integers(10, 21))
    for x, y in (rear, front):
        _wheel(pen, rng, x, y, radius, tyre, count)
    crank, seat, head = (-0.05, 0.32), (-0.22, -0.3), (0.36, -0.32)
    frame = [path(rear, crank, seat, rear), path(crank, head, seat), path(head, front)]
    pen.stroke(frame, tube)
    pen.stroke([path(seat, (-0.25, -0.42)), path(head, (0.33, -0.5), (0.5, -0.52))], tube)
    pen.fill([ellipse(-0.26, -0.45, 0.16, 0.045)])
    pen.stroke([circle(*crank, 0.09)], 0.03, closed=True)
    pen.stroke([path((-0.13, 0.45), crank, (0.03, 0.19))], 0.03)


def _wheel(
    pen: Canvas,
    rng: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    tyre: float,
    count: int,
) -> None:
    hub = radius * 0.1
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 1)
    lines = spokes(x, y, hub, radius, angles)
    # Crossed spokes leave the hub at a tangent; neighbors lean opposite ways.
    lean = rng.choice([0.0, 0.9]) * np.where(np.arange(count) % 2, 1, -1)
    lines[:, 0] = spokes(x, y, 0, hub, angles + lean)[:, 1]
    pen.stroke(lines, rng.uniform(0.008, 0.025))
    pen.stroke([circle(x, y, radius - tyre / 2, 72)], tyre, closed=True)
    pen.fill([circle(x, y, hub)])


def fence(pen: Canvas, rng: np.random.Generator) -> None:
    """Pickets or bars on rails, with pointed or round tops."""
    count = int(rng.integers(5, 15))
    pitch = 2 / count
    width = pitch * rng.uniform(0.2, 0.55)
    rise = rng.uniform(0, 0.35)
    for x in np.linspace(-1 + pitch / 2, 1 - pitch / 2, count):
        top = -0.6 - rise * (1 - x * x)
        pen.fill([rectangle(x - width / 2, top, x + width / 2, 0.85)])
        if width > 0.09:
            pen.fill([path((x - width / 2, top), (x, top - width), (x + width / 2, top))])
        else:
            pen.fill([circle(x, top, width * 0.9, 16)])
    rail = rng.uniform(0.025, 0.07)
    for y in (-0.45, *rng.uniform(-0.2, 0.3, rng.integers(0, 2)), 0.6):
        pen.stroke([path((-1, y), (1, y))], rail)


def racket(pen: Canvas, rng: np.random.Generator) -> None:
    """A strung frame on a handle."""
    width, height = rng.uniform(0.42, 0.55), rng.uniform(0.55, 0.65)
    y, gap = -0.35, rng.uniform(0.06, 0.13)
    columns = np.arange(-width + gap / 2, width, gap)
    reach = height * np.sqrt(np.clip(1 - (columns / width) ** 2, 0, 1))
    rows = np.arange(-height + gap / 2, height, gap)
    across = width * np.sqrt(np.clip(1 - (rows / height) ** 2, 0, 1))
    strings = [path((x, y - r), (x, y + r)) for x, r in zip(columns, reach, strict=True)]
    strings += [path((-r, y + v), (r, y + v)) for v, r in zip(rows, across, strict=True)]
    pen.stroke(strings, rng.uniform(0.01, 0.02))
    pen.stroke([ellipse(0, y, width, height, 72)], rng.uniform(0.05, 0.09), closed=True)
    throat = y + height
    pen.stroke([path((-0.2, throat - 0.08), (0, 0.5)), path((0.2, throat - 0.08), (0, 0.5))], 0.04)
    pen.stroke([path((0, 0.5), (0, 0.98))], rng.uniform(0.08, 0.13))


def net(pen: Canvas, rng: np.random.Generator) -> None:
    """A sagging net on a rope frame between two posts."""
    count = int(rng.integers(7, 15))
    u, v = np.meshgrid(np.linspace(-0.9, 0.9, count), np.linspace(-0.8, 0.6, count))
    sag = rng.uniform(0.05, 0.3) * (1 - u**2) * (1 - 0.5 * v)
    grid = np.stack([u * (1 - 0.15 * v), v + sag], axis=2)
    grid[1:-1, 1:-1] += rng.normal(0, 0.12 / count, (count - 2, count - 2, 2))
    if rng.random() < 0.5:
        lines = [*grid, *grid.transpose(1, 0, 2)]
    else:
        lines = [
            np.diagonal(m, k).T for m in (grid, grid[::-1]) for k in range(2 - count, count - 1)
        ]
    pen.stroke(lines, rng.uniform(0.012, 0.03))
    rim = np.concatenate([grid[0], grid[:, -1], grid[-1, ::-1], grid[::-1, 0]])
    pen.stroke([rim], rng.uniform(0.03, 0.06), closed=True)
    posts = [path((side * 1.02, -0.95), (side * 0.85, 0.95)) for side in (-1, 1)]
    pen.stroke(posts, rng.uniform(0.06, 0.12))


def chain(pen: Canvas, rng: np.random.Generator) -> None:
    """Links along a wave; every second one is seen from its edge."""
    count = int(rng.integers(7, 13))
    along = np.linspace(-0.92, 0.92, count)
    height = rng.uniform(0.2, 0.6) * np.sin(along * rng.uniform(1.5, 3.5) + rng.uniform(0, 6))
    centers = np.stack([along, height], axis=1)
    steps = np.gradient(centers, axis=0)
    width = rng.uniform(0.05, 0.08)
    for i, ((x, y), step) in enumerate(zip(centers, steps, strict=True)):
        length = float(np.hypot(*step))
        a, b = step / length, np.array([-step[1], step[0]]) / length
        if i % 2:
            pen.stroke([np.stack([(x, y) - a * length * 0.7, (x, y) + a * length * 0.7])], width)
        else:
            link = ellipse(0, 0, length * 0.75, length * 0.45) @ np.stack([a, b]) + (x, y)
            pen.stroke([link], width, closed=True)


def tower(pen: Canvas, rng: np.random.Generator) -> None:
    """A lattice mast with cross arms, as pylons and cranes are built."""
    count = int(rng.integers(6, 12))
    y = np.linspace(0.95, -0.95, count)
    half = np.interp(y, [-0.95, 0.95], [rng.uniform(0.05, 0.15), rng.uniform(0.35, 0.6)])
    left, right = np.stack([-half, y], axis=1), np.stack([half, y], axis=1)
    pen.stroke([left, right], rng.uniform(0.04, 0.07))
    braces = [np.stack(pair) for pair in zip(left[:-1], right[1:], strict=True)]
    braces += [np.stack(pair) for pair in zip(right[:-1], left[1:], strict=True)]
    braces += [np.stack(pair) for pair in zip(left, right, strict=True)]
    pen.stroke(braces, rng.uniform(0.015, 0.035))
    for level in rng.choice(np.arange(count // 2, count), int(rng.integers(1, 4)), replace=False):
        arm, h = rng.uniform(0.5, 0.95), half[level]
        for side in (-1, 1):
            lower, upper = (side * h, y[level]), (side * h, y[level] - 0.16)
            pen.stroke([path(lower, (side * arm, y[level]), upper)], 0.03)
            bays = np.linspace(side * h, side * arm, 5)
            rise = np.linspace(0.16, 0, 5)
            pen.stroke([path(*zip(bays, y[level] - rise * [0, 1, 0, 1, 0], strict=True))], 0.02)


def chair(pen: Canvas, rng: np.random.Generator) -> None:
    """A seat on four legs with a slatted back."""
    leg = rng.uniform(0.04, 0.08)
    seat = np.array([[-0.5, 0.15], [0.35, 0.15], [0.6, 0.32], [-0.3, 0.32]])
    pen.fill([seat])
    feet = [(-0.48, 0.8), (0.33, 0.78), (0.58, 0.97), (-0.28, 0.97)]
    pen.stroke([path(tuple(c), foot) for c, foot in zip(seat, feet, strict=True)], leg)
    back = [path((-0.5, 0.15), (-0.58, -0.95)), path((0.35, 0.15), (0.33, -0.95))]
    pen.stroke(back, leg)
    pen.stroke([path((-0.58, -0.93), (0.33, -0.93))], leg * 1.6)
    count = int(rng.integers(3, 9))
    lower, upper = np.linspace(-0.5, 0.35, count + 2), np.linspace(-0.58, 0.33, count + 2)
    slats = [path((a, 0.15), (b, -0.93)) for a, b in zip(lower[1:-1], upper[1:-1], strict=True)]
    if rng.random() < 0.4:
        slats = [path((-0.54, y), (0.34, y)) for y in np.linspace(-0.75, 0, count)]
    pen.stroke(slats, rng.uniform(0.015, 0.04))
    pen.stroke([path((-0.38, 0.62), (0.46, 0.6))], leg * 0.6)


def plate(pen: Canvas, rng: np.random.Generator) -> None:
    """A sheet with a pattern of holes, as colanders and gratings have."""
    corners = int(rng.choice([4, 6, 8, 48]))
    size = np.array([rng.uniform(0.65, 0.95), rng.uniform(0.6, 0.95)])
    outline = circle(0, 0, 1, corners) * size
    pen.fill([outline])
    pitch = rng.uniform(0.17, 0.34)
    hole = pitch * rng.uniform(0.25, 0.4)
    sides = int(rng.choice([4, 6, 24]))
    x, y = np.meshgrid(np.arange(-1, 1, pitch), np.arange(-1, 1, pitch))
    x[::2] += pitch / 2
    inside = np.stack([x.ravel(), y.ravel()], axis=1)
    reach = np.hypot(*(inside / (size - 1.4 * hole)).T)
    kept = inside[reach < (0.72 if corners == 4 else 0.88)]
    pen.fill([circle(cx, cy, hole, sides) for cx, cy in kept], ink=False)


def gear(pen: Canvas, rng: np.random.Generator) -> None:
    """A toothed wheel with windows between its arms."""
    teeth = int(rng.integers(9, 25))
    angle = np.linspace(0, 2 * np.pi, teeth * 4, endpoint=False)
    radius = np.tile([0.95, 0.95, 0.8, 0.8], teeth)
    pen.fill([np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)])
    arms = int(rng.integers(3, 8))
    share = rng.uniform(0.5, 0.75) * np.pi / arms
    outer, inner = rng.uniform(0.58, 0.68), rng.uniform(0.2, 0.3)
    for middle in np.linspace(0, 2 * np.pi, arms, endpoint=False):
        sweep = np.linspace(middle - share, middle + share, 12)
        rim = np.stack([np.cos(sweep), np.sin(sweep)], axis=1)
        pen.fill([np.concatenate([outer * rim, inner * rim[::-1]])], ink=False)
    pen.fill([circle(0, 0, rng.uniform(0.06, 0.12))], ink=False)


def coil(pen: Canvas, rng: np.random.Generator) -> None:
    """A spring between two plates, or a spiral of wire."""
    turns = rng.uniform(4, 8)
    t = np.linspace(0, 1, 240)
    angle = 2 * np.pi * turns * t
    if rng.random() < 0.5:
        line = np.stack([0.5 * np.cos(angle), 1.5 * t - 0.75 + 0.08 * np.sin(angle)], axis=1)
        pen.fill([rectangle(-0.62, -0.95, 0.62, -0.8), rectangle(-0.62, 0.8, 0.62, 0.95)])
    else:
        line = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1) * 0.93
    pen.stroke([line], rng.uniform(0.035, 0.09))


def text(pen: Canvas, rng: np.random.Generator) -> None:
    """Two or three lines of letters and figures."""
    font = int(rng.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    slant = int(rng.choice([0, cv2.FONT_ITALIC]))
    thickness = int(rng.integers(5, 13))
    letters = list(string.ascii_letters + string.digits)
    rows = int(rng.integers(2, 4))
    canvas = np.zeros((170 * rows, 512), np.uint8)
    for row in range(rows):
        word = "".join(rng.choice(letters, rng.integers(3, 6)))
        (width, height), _ = cv2.getTextSize(word, font, 1.0, 0)
        size = min(500 / width, 120 / height)
        origin = (round(256 - size * width / 2), round(170 * row + 85 + size * height / 2))
        cv2.putText(canvas, word, origin, font | slant, size, 255, thickness, cv2.LINE_AA)
    pen.stamp(canvas)


def tree(pen: Canvas, rng: np.random.Generator) -> None:
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


def fern(pen: Canvas, rng: np.random.Generator) -> None:
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


def head(pen: Canvas, rng: np.random.Generator) -> None:
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


def insect(pen: Canvas, rng: np.random.Generator) -> None:
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


def dandelion(pen: Canvas, rng: np.random.Generator) -> None:
    """A ball of seeds, each a ray that ends in a tuft, on a bent stem."""
    count = int(rng.integers(22, 46))
    angle = rng.uniform(0, 0.3) + np.linspace(0, 2 * np.pi, count, endpoint=False)
    reach = rng.uniform(0.4, 0.56, count)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x, y = 0.0, -0.35
    center = np.array([x, y])
    tips = center + reach[:, None] * ray
    pen.stroke(np.stack([np.broadcast_to(center, tips.shape), tips], axis=1), 0.014)
    for fan in (-0.6, -0.2, 0.2, 0.6):
        tuft = np.stack([np.cos(angle + fan), np.sin(angle + fan)], axis=1)
        pen.stroke(np.stack([tips, tips + 0.1 * tuft], axis=1), 0.012)
    pen.fill([circle(x, y, rng.uniform(0.08, 0.14))])
    bend = rng.uniform(-0.3, 0.3)
    t = np.linspace(0, 1, 12)
    stem = np.stack([bend * t**2, -0.35 + 1.33 * t], axis=1)
    pen.stroke([stem], rng.uniform(0.03, 0.055))
