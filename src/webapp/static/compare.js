// Models without clicks: the picture and its result under a slider.

import { get } from "./api.js";
import * as lens from "./lens.js";
import { all, busily, find, save, show, stem } from "./shell.js";

const NAMES = { rgba: "cut-out", mask: "mask", overlay: "overlay" };

let picture = null;
let results = new Map(); // of the picture, as they come; "rgba?view=true" is for looking only

const chosen = (name) => find(`input[name=${name}]:checked`).value;

export function start() {
  find("#split").addEventListener("input", placeSplit);
  for (const radio of all("input[name=output]")) radio.addEventListener("change", showResult);
  for (const radio of all("input[name=behind]")) radio.addEventListener("change", placeBackdrop);
  for (const button of all("[data-download]")) {
    button.addEventListener("click", () => download(button.dataset.download));
  }
  lens.start(() => result(chosen("output"), "Fetching every pixel …"));
  placeBackdrop();
}

export async function open(opened, preview) {
  picture = opened;
  results = new Map();
  lens.open(opened);
  find("#compare").classList.add("waiting");
  find("#dimensions").textContent = `${opened.width} × ${opened.height} pixels, as in your file`;
  find("#compare").style.setProperty("--ratio", opened.width / opened.height);
  find("#split").value = 50;
  placeSplit();
  await show(find("#before"), preview);
  await showResult();
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

async function showResult() {
  const output = chosen("output");
  for (const radio of all("input[name=behind]")) radio.disabled = output !== "rgba";
  const blob = await result(`${output}?view=true`, "Cutting out …");
  if (blob === null || output !== chosen("output")) return; // another was asked for meanwhile
  await show(find("#after"), blob);
  find("#after").alt = `Result: ${NAMES[output]}`;
  find("#compare").classList.remove("waiting");
  find("#compare").dataset.shown = output;
}

async function download(output) {
  const blob = await result(output, "Making the file at full size …");
  if (blob !== null) save(blob, `${stem(picture)}-${NAMES[output]}.png`);
}

function placeSplit() {
  find("#compare").style.setProperty("--split", `${find("#split").value}%`);
}

function placeBackdrop() {
  const compare = find("#compare");
  compare.classList.remove("checks", "white", "black");
  compare.classList.add(chosen("behind"));
}
