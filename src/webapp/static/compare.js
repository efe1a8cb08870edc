// Models without clicks: the picture and its result under a slider.

import { get, sharpen as sharpenWindow, state, step as stepOnServer } from "./api.js";
import { closeup, isNeeded } from "./closeup.js";
import * as lens from "./lens.js";
import * as region from "./region.js";
import { all, busily, find, save, show, showHistory, stem } from "./shell.js";

const NAMES = { rgba: "cut-out", mask: "mask", overlay: "overlay" };
const PAN = 0.1; // of what is seen, by an arrow key

let model = null;
let picture = null; // its state, as the server says it
let results = new Map(); // of the picture, as they come; "rgba?view=true" is for looking only
let busy = false; // one change at a time
let sides = [];

const chosen = (name) => find(`input[name=${name}]:checked`).value;

export function start(known) {
  model = known;
  find("#split").addEventListener("input", placeSplit);
  for (const radio of all("input[name=output]")) radio.addEventListener("change", showResult);
  for (const radio of all("input[name=behind]")) radio.addEventListener("change", placeBackdrop);
  for (const button of all("[data-download]")) {
    button.addEventListener("click", () => download(button.dataset.download));
  }
  find("#sharpen").addEventListener("click", sharpen);
  const figure = find("#compare");
  figure.addEventListener("pointerdown", press);
  figure.addEventListener("keydown", pan);
  sides = [
    closeup(find("#before"), (window) => nearly("picture", window)),
    closeup(find("#after"), (window) => nearly(`${chosen("output")}?view=true`, window)),
  ];
  region.attach(figure);
  region.listen({
    changed: () => {
      sides.forEach((side) => side.changed());
      figure.classList.toggle("zoomed", !region.isWhole());
      describeRegion();
    },
    settled: () => sides.forEach((side) => side.settled(picture)),
  });
  lens.start(() => result(chosen("output"), "Fetching every pixel …"));
  placeBackdrop();
}

export const keys = {
  s: sharpen,
  m: lens.toggle,
  d: () => download("rgba"),
};

export async function open(opened, preview) {
  picture = opened;
  results = new Map();
  lens.open(opened);
  find("#compare").classList.add("waiting");
  find("#dimensions").textContent = `${opened.width} × ${opened.height} pixels, as in your file`;
  find("#compare").style.setProperty("--ratio", opened.width / opened.height);
  find("#split").value = 50;
  placeSplit();
  showHistory(picture);
  await show(find("#before"), preview);
  find("#compare").focus({ preventScroll: true });
  await showResult();
}

export const step = (which) =>
  change(which === "undo" ? "Undoing …" : "Redoing …", (mine) => stepOnServer(mine, which));

function sharpen() {
  if (find("#sharpen").disabled) return;
  const overrule = find("#overrule").checked;
  change("Sharpening …", (mine) => sharpenWindow(mine, region.corners(), overrule));
}

// Lets the server change something, and shows the picture's new state.
async function change(text, ask) {
  if (busy || !picture) return;
  busy = true;
  describeRegion();
  const mine = picture;
  const changed = await busily(text, () => ask(mine));
  busy = false;
  if (mine === picture) {
    const now = changed ?? (await state(mine).catch(() => mine));
    if (mine === picture && JSON.stringify(now.windows) !== JSON.stringify(mine.windows)) {
      results = new Map();
      picture = now;
      await showResult();
    } else if (mine === picture) {
      picture = now;
    }
    showHistory(picture);
  }
  describeRegion();
}

// How closely the model would look at what is seen.
function describeRegion() {
  if (!picture) return;
  const [x0, y0, x1, y1] = region.corners();
  const [width, height] = [x1 + 1 - x0, y1 + 1 - y0];
  const one = Math.max(height / model.input[0], width / model.input[1]);
  find("#sharpen").disabled = region.isWhole() || busy;
  find("#closeness").textContent = region.isWhole()
    ? "Zoom in to a part whose edges should be better: wheel, + or the buttons."
    : one <= 1
      ? `Reads ${width} × ${height} pixels, each of them.`
      : `Reads ${width} × ${height} pixels at 1 : ${one.toFixed(1)}. From nearer it sees more.`;
}

async function result(what, text) {
  const mine = picture;
  if (!results.has(what)) {
    const blob = await busily(text, () => get(mine, what));
    if (blob === null || mine !== picture) return null;
    results.set(what, blob);
  }
  return results.get(what);
}

const nearly = (what, window) => {
  const mine = picture;
  return busily("", () => get(mine, what, window));
};

async function showResult() {
  const output = chosen("output");
  for (const radio of all("input[name=behind]")) radio.disabled = output !== "rgba";
  const waiting = find("#compare").classList.contains("waiting");
  const nearFirst = !waiting && isNeeded(picture); // what is looked at comes before the rest
  if (nearFirst) await sides[1].settled(picture);
  const blob = await result(`${output}?view=true`, "Cutting out …");
  if (blob === null || output !== chosen("output")) return; // another was asked for meanwhile
  await show(find("#after"), blob);
  find("#after").alt = `Result: ${NAMES[output]}`;
  if (!nearFirst) {
    sides[1].changed();
    sides[1].settled(picture);
  }
  find("#compare").classList.remove("waiting");
  find("#compare").dataset.shown = output;
  find("#compare").dataset.windows = picture.windows.length;
  lens.renew();
}

async function download(output) {
  if (!picture) return;
  const blob = await result(output, "Making the file at full size …");
  if (blob !== null) save(blob, `${stem(picture)}-${NAMES[output]}.png`);
}

// Zoomed in, the picture is moved; else, and at the handle, the split is.
function press(event) {
  if (event.button > 1) return;
  const figure = find("#compare");
  if (event.button === 1 || (!region.isWhole() && event.target !== find("#handle"))) {
    event.preventDefault();
    region.dragFrom(figure, event);
    return;
  }
  const follow = (at) => {
    find("#split").value = 100 * region.shares(figure, at)[0];
    placeSplit();
  };
  follow(event);
  figure.setPointerCapture(event.pointerId);
  figure.addEventListener("pointermove", follow);
  const release = () => {
    figure.removeEventListener("pointermove", follow);
    for (const kind of ["pointerup", "pointercancel"]) figure.removeEventListener(kind, release);
  };
  for (const kind of ["pointerup", "pointercancel"]) figure.addEventListener(kind, release);
}

function pan(event) {
  if (event.target !== find("#compare")) return; // arrows on the slider are the slider's
  const by = {
    ArrowLeft: [-PAN, 0], ArrowRight: [PAN, 0], ArrowUp: [0, -PAN], ArrowDown: [0, PAN],
  }[event.key];
  if (!by || region.isWhole()) return;
  event.preventDefault();
  region.moveBy(...by);
}

function placeSplit() {
  find("#compare").style.setProperty("--split", `${find("#split").value}%`);
}

function placeBackdrop() {
  const compare = find("#compare");
  compare.classList.remove("checks", "white", "black");
  compare.classList.add(chosen("behind"));
}
