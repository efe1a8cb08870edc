// Draws masks, boxes and clicks over the picture. Coordinates are the picture's pixels.

const LONGEST = 1600; // sides of the layers of masks, whatever the picture's size
const OUTLINE = 2; // width in pixels of a layer
const RADIUS = 7; // of a click, in pixels of the screen

// A bright colour for an object's number; neighbours differ by the golden angle. The palette PNG
// has PASCAL VOC's colours, which are too dark to be seen over a picture.
export function colour(number) {
  const hue = (number * 137.5) % 360;
  return [0, 8, 4].map((shift) => {
    const k = (shift + hue / 30) % 12;
    return Math.round(255 * (0.55 - 0.42 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

// The mask of a window as a tinted canvas with an outline, and the share of it that is covered.
export async function layer(blob, number, window) {
  const mask = await createImageBitmap(blob);
  const scale = LONGEST / Math.max(mask.width, mask.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(mask.width * scale));
  canvas.height = Math.max(1, Math.round(mask.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0, canvas.width, canvas.height);
  mask.close();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const share = tint(pixels, colour(number));
  context.putImageData(pixels, 0, 0);
  return { canvas, share, window };
}

function tint({ data, width, height }, [red, green, blue]) {
  const inside = new Uint8Array(width * height);
  let count = 0;
  for (let i = 0; i < inside.length; i++) {
    inside[i] = data[4 * i] >= 128 ? 1 : 0;
    count += inside[i];
  }
  const colours = new Uint32Array(data.buffer); // red in the lowest byte
  const base = red | (green << 8) | (blue << 16);
  for (let i = 0; i < inside.length; i++) {
    const alpha = inside[i] && isEdge(inside, i, width, height) ? 255 : data[4 * i] * 0.45;
    colours[i] = base | (alpha << 24);
  }
  return count / inside.length;
}

function isEdge(inside, i, width, height) {
  const x = i % width;
  const y = (i - x) / width;
  return (
    (x >= OUTLINE && !inside[i - OUTLINE]) || (x < width - OUTLINE && !inside[i + OUTLINE]) ||
    (y >= OUTLINE && !inside[i - OUTLINE * width]) ||
    (y < height - OUTLINE && !inside[i + OUTLINE * width])
  );
}

// Draws everything anew. `cross` is where the keyboard points, or null; `drag` a box being drawn.
export function draw(canvas, region, { objects, current, cross, drag }) {
  const bounds = canvas.getBoundingClientRect();
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(bounds.width * density);
  canvas.height = Math.round(bounds.height * density);
  const context = canvas.getContext("2d");
  context.scale(density, density);
  const zoom = bounds.width / region.width;
  const corner = ([x, y]) => [(x - region.left) * zoom, (y - region.top) * zoom];
  const place = ([x, y]) => corner([x + 0.5, y + 0.5]);
  for (const object of objects) {
    const layer = object.near ?? object.layer;
    if (!layer) continue;
    const [x0, y0, x1, y1] = layer.window;
    context.globalAlpha = object === current ? 1 : 0.6;
    context.drawImage(
      layer.canvas, ...corner([x0, y0]), (x1 + 1 - x0) * zoom, (y1 + 1 - y0) * zoom,
    );
  }
  context.globalAlpha = 1;
  for (const part of current.parts) {
    const isLast = part === current.parts.at(-1);
    const box = isLast ? drag ?? part.box : part.box;
    context.globalAlpha = isLast ? 1 : 0.5;
    if (box) drawBox(context, place(box.slice(0, 2)), place(box.slice(2)));
    part.points.forEach((point, i) => drawClick(context, place(point), part.labels[i]));
  }
  context.globalAlpha = 1;
  if (cross) drawCross(context, place(cross));
}

function drawBox(context, [left, top], [right, bottom]) {
  for (const [style, dashes] of [["#000", []], ["#fff", [6, 4]]]) {
    context.strokeStyle = style;
    context.lineWidth = 2;
    context.setLineDash(dashes);
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.setLineDash([]);
}

function drawClick(context, [x, y], label) {
  context.beginPath();
  context.arc(x, y, RADIUS, 0, 2 * Math.PI);
  context.fillStyle = label ? "#0b7a53" : "#c02717";
  context.fill();
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.stroke();
  context.beginPath(); // + or −, so that colour is not all that tells them apart
  context.moveTo(x - 3.5, y);
  context.lineTo(x + 3.5, y);
  if (label) {
    context.moveTo(x, y - 3.5);
    context.lineTo(x, y + 3.5);
  }
  context.stroke();
}

function drawCross(context, [x, y]) {
  for (const [style, width] of [["#000", 4], ["#fff", 2]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x - 14, y);
    context.lineTo(x + 14, y);
    context.moveTo(x, y - 14);
    context.lineTo(x, y + 14);
    context.stroke();
  }
}
