// Mouse, pen, finger and keyboard on the picture, as clicks and boxes in the picture's pixels.

import * as region from "./region.js";

const SLIP = 5; // pixels of the screen that a click may move

// Calls onClick(point, outside), onBox([x0, y0, x1, y1]), onDrag(box or null), onCross(point or
// null). Boxes only where `boxes` is true.
export function listen(canvas, size, boxes, { onClick, onBox, onDrag, onCross }) {
  let start = null; // of a press: the point and where on the screen
  let cross = null;
  let corner = null; // of a box drawn by keyboard

  // Tenths of a pixel, so that messages can be read.
  const clamp = (value, most) => Math.round(10 * Math.min(Math.max(value, 0), most)) / 10;

  function point(event) {
    const [x, y] = region.shares(canvas, event);
    const seen = region.get();
    const { width, height } = size();
    return [
      clamp(seen.left + x * seen.width - 0.5, width - 1),
      clamp(seen.top + y * seen.height - 0.5, height - 1),
    ];
  }

  const between = (a, b) => [
    Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1]),
  ];
  const moved = (event) =>
    boxes && start.button === 0 &&
    Math.hypot(event.clientX - start.x, event.clientY - start.y) > SLIP;

  function move(event) {
    if (start) onDrag(moved(event) ? between(start.at, point(event)) : null);
  }

  function release(event) {
    if (!start) return;
    if (moved(event)) onBox(between(start.at, point(event)));
    else onClick(start.at, start.button === 2);
    start = null;
    onDrag(null);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = size();
    const seen = region.get();
    const longer = Math.max(seen.width, seen.height);
    const step = Math.max(1, Math.round((event.shiftKey ? 0.1 : 0.01) * longer));
    const [dx, dy] = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    }[event.key] ?? [0, 0];
    if (dx || dy) {
      cross ??= [seen.left + seen.width / 2, seen.top + seen.height / 2].map(Math.round);
      cross = [clamp(cross[0] + dx, width - 1), clamp(cross[1] + dy, height - 1)];
      region.reveal(cross);
      onCross(cross);
      onDrag(corner && between(corner, cross));
    } else if (event.key === "Enter" && cross) {
      onClick(cross, event.shiftKey);
    } else if (event.key === "b" && cross && boxes) {
      if (corner) onBox(between(corner, cross));
      corner = corner ? null : cross;
      onDrag(corner && between(corner, cross));
    } else {
      return;
    }
    event.preventDefault();
  }

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 1) {
      event.preventDefault();
      region.dragFrom(canvas, event);
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    start = { at: point(event), x: event.clientX, y: event.clientY, button: event.button };
  });
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", () => {
    start = null;
    onDrag(null);
  });
  canvas.addEventListener("keydown", key);
  canvas.addEventListener("blur", () => {
    cross = corner = null;
    onCross(null);
    onDrag(null);
  });
}
