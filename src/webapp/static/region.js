// What part of the picture is looked at. It has the picture's shape, so that it fills its figure at
// every zoom.

const LEAST = 48; // pixels of the picture along a region's shorter side
const SETTLED = 150; // milliseconds without a change after which pixels are worth fetching
const STEP = 1.25;

let picture = null;
let zoom = 1;
let left = 0;
let top = 0;
const listeners = [];
let timer = null;

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

// `changed` is called at once, `settled` when nothing has changed for a moment.
export function listen({ changed, settled }) {
  listeners.push({ changed, settled });
}

// The figure that the region is seen in.
export function attach(figure) {
  figure.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(STEP ** clamp(-event.deltaY / 50, -2, 2), shares(figure, event));
  }, { passive: false });
  new ResizeObserver(notify).observe(figure);
}

// Where an event is, as shares of a figure's width and height.
export function shares(figure, event) {
  const bounds = figure.getBoundingClientRect();
  return [(event.clientX - bounds.left) / bounds.width, (event.clientY - bounds.top) / bounds.height];
}

// Moves the picture with a pointer that was pressed, until it is released.
export function dragFrom(figure, pressed) {
  let last = shares(figure, pressed);
  const move = (event) => {
    const at = shares(figure, event);
    moveBy(last[0] - at[0], last[1] - at[1]);
    last = at;
  };
  const end = () => {
    figure.classList.remove("moving");
    figure.removeEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) figure.removeEventListener(kind, end);
  };
  figure.classList.add("moving");
  figure.setPointerCapture(pressed.pointerId);
  figure.addEventListener("pointermove", move);
  for (const kind of ["pointerup", "pointercancel"]) figure.addEventListener(kind, end);
}

export function open(opened, kept = null) {
  picture = opened;
  zoom = clamp(kept?.zoom ?? 1, 1, most());
  left = kept?.left ?? 0;
  top = kept?.top ?? 0;
  hold();
}

export const get = () => ({
  left, top, zoom, width: picture.width / zoom, height: picture.height / zoom,
});
export const isWhole = () => zoom === 1;

// The region in whole pixels, x0, y0, x1, y1, the last ones included.
export function corners() {
  const { width, height } = get();
  return [
    Math.floor(left), Math.floor(top),
    Math.min(picture.width, Math.ceil(left + width)) - 1,
    Math.min(picture.height, Math.ceil(top + height)) - 1,
  ];
}

export function zoomBy(factor, [x, y] = [0.5, 0.5]) {
  if (!picture) return;
  const before = get();
  zoom = clamp(zoom * factor, 1, most());
  if (zoom < 1.01) zoom = 1;
  const after = get();
  left += x * (before.width - after.width);
  top += y * (before.height - after.height);
  hold();
}

export const zoomIn = () => zoomBy(STEP);
export const zoomOut = () => zoomBy(1 / STEP);
export const fit = () => zoomBy(0);

// By shares of what is seen.
export function moveBy(x, y) {
  if (!picture) return;
  left += x * get().width;
  top += y * get().height;
  hold();
}

// Moves as little as lets a point be seen, not at the very edge.
export function reveal([x, y]) {
  const { width, height } = get();
  left = clamp(left, x - 0.95 * width, x - 0.05 * width);
  top = clamp(top, y - 0.95 * height, y - 0.05 * height);
  hold();
}

// Places an element over the pixels x0, y0 to x1, y1 of the picture.
export function place(element, [x0, y0, x1, y1]) {
  const { width, height } = get();
  Object.assign(element.style, {
    left: `${(100 * (x0 - left)) / width}%`,
    top: `${(100 * (y0 - top)) / height}%`,
    width: `${(100 * (x1 + 1 - x0)) / width}%`,
    height: `${(100 * (y1 + 1 - y0)) / height}%`,
  });
}

export const whole = () => [0, 0, picture.width - 1, picture.height - 1];

const most = () => Math.max(1, Math.min(picture.width, picture.height) / LEAST);

function hold() {
  const { width, height } = get();
  left = clamp(left, 0, picture.width - width);
  top = clamp(top, 0, picture.height - height);
  notify();
}

function notify() {
  if (!picture) return;
  for (const { changed } of listeners) changed();
  clearTimeout(timer);
  timer = setTimeout(() => listeners.forEach(({ settled }) => settled()), SETTLED);
}
