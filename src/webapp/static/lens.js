// A lens that follows the pointer over a result and shows its own pixels, at the picture's full size.

import * as region from "./region.js";
import { all, find } from "./shell.js";

const LARGEST = 130; // radius in pixels of the screen
const LEAST = 4; // times as large as the picture is shown

let fetchResult = null; // gives the full-size result, or null
let picture = null;
let address = null; // of the result in the lens
let asked = 0; // so that no late answer is shown

export function start(result) {
  fetchResult = result;
  find("#lens-button").addEventListener("click", toggle);
  find("#compare").addEventListener("pointermove", follow);
  find("#compare").addEventListener("pointerleave", () => { find("#lens").hidden = true; });
  for (const radio of all("input[name=output]")) radio.addEventListener("change", renew);
}

// Another picture: the lens is put away.
export function open(opened) {
  picture = opened;
  putAway();
}

const isOn = () => find("#lens-button").getAttribute("aria-pressed") === "true";

export function toggle() {
  if (isOn()) {
    putAway();
    return;
  }
  find("#lens-button").setAttribute("aria-pressed", "true");
  renew();
}

function putAway() {
  asked += 1;
  find("#lens-button").setAttribute("aria-pressed", "false");
  find("#lens").hidden = true;
  fill(null);
}

// The result that is shown now goes into the lens.
export async function renew() {
  if (!isOn()) return;
  asked += 1;
  const mine = asked;
  fill(null);
  const blob = await fetchResult();
  if (mine === asked) fill(blob);
}

function fill(blob) {
  if (address) URL.revokeObjectURL(address);
  address = blob && URL.createObjectURL(blob);
  find("#lens div").style.backgroundImage = address ? `url("${address}")` : "none";
  find("#lens").dataset.ready = address !== null;
}

function follow(event) {
  const lens = find("#lens");
  lens.hidden = !address || event.pointerType === "touch";
  if (lens.hidden) return;
  const bounds = find("#compare").getBoundingClientRect();
  const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
  const seen = region.get();
  const shown = bounds.width / seen.width;
  const scale = Math.max(1, LEAST * shown);
  const radius = Math.min(LARGEST, bounds.width / 6);
  const inside = find("#lens div").style;
  lens.style.left = `${x - radius}px`;
  lens.style.top = `${y - radius}px`;
  lens.style.width = lens.style.height = `${2 * radius}px`;
  inside.backgroundSize = `${picture.width * scale}px ${picture.height * scale}px`;
  inside.backgroundPosition =
    `${radius - (seen.left + x / shown) * scale}px ${radius - (seen.top + y / shown) * scale}px`;
}
