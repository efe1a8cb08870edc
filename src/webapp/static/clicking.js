// Models with clicks: objects are pointed at one after the other.

import { dropObject, get, putObject, state as stateOf, step as stepOnServer } from "./api.js";
import { closeup, isNeeded } from "./closeup.js";
import { KINDS } from "./kinds.js";
import { colour, draw, layer } from "./marks.js";
import { bodyOf, isEmpty, make, nothing, partsOf } from "./objects.js";
import { listen } from "./pointer.js";
import * as region from "./region.js";
import { all, busily, complain, find, forgive, save, say, show, showHistory, stem } from "./shell.js";

const MOST = 254; // objects, as many as a palette PNG has numbers for

let kind = null;
let picture = null;
let objects = [];
let current = null;
let counts = { undo: 0, redo: 0 };
let cross = null;
let drag = null;
let near = null;
let looks = 0; // at regions from near, so that no late answer is shown

// Changes go to the server one after the other: each is one step to undo.
let queue = Promise.resolve();
let epoch = 0; // what was queued before a refusal or another picture is not carried out
let stepping = 0; // undos and redos under way: what they leave is not known yet

const last = () => current.parts.at(-1);

export function start(model) {
  kind = KINDS[model.clicks];
  find("#sides").hidden = !kind.corrects;
  find("#next").addEventListener("click", next);
  for (const radio of all("input[name=mode]")) {
    radio.addEventListener("click", () => choose(radio.value)); // also where it is checked already
  }
  for (const button of all("[data-object]")) {
    button.addEventListener("click", () => downloadObject(button.dataset.object));
  }
  for (const button of all("[data-all]")) {
    button.addEventListener("click", () => downloadAll(button.dataset.all));
  }
  listen(find("#marks"), () => picture, kind.box, {
    onClick: click,
    // Another box, another object.
    onBox: (box) => current && change((part) => ({ ...nothing(part.mode), box })),
    onDrag: (box) => { drag = box; paint(); },
    onCross: (point) => { cross = point; paint(); },
  });
  near = closeup(find("#pointed"), (window) => busily("", () => get(picture, "picture", window)));
  region.attach(find("#pointing"));
  region.listen({ changed: regionChanged, settled: lookNearer });
}

export const keys = {
  n: next,
  a: () => choose("add"),
  s: () => choose("subtract"),
  i: () => choose("intersect"),
  d: () => { if (current?.layer) downloadObject("rgba"); },
};

export async function open(opened, preview) {
  picture = opened;
  epoch += 1;
  stepping = 0;
  objects = [];
  current = null;
  find("#pointing").style.setProperty("--ratio", opened.width / opened.height);
  await show(find("#pointed"), preview);
  await adopt(opened);
  find("#marks").focus({ preventScroll: true });
}

export function step(which) {
  if (!current || !counts[which]) return;
  stepping += 1;
  enqueue(which === "undo" ? "Undoing …" : "Redoing …", async (mine) => {
    try {
      await adopt(await stepOnServer(mine, which));
    } finally {
      if (mine === picture) stepping -= 1;
    }
  });
}

function click(point, rightButton) {
  if (!current) return;
  const chosen = find("input[name=side]:checked").value === "1";
  const inside = !kind.corrects || (rightButton ? false : chosen);
  if (kind.box && last().box === null) {
    say("First drag a box around the object.");
    return;
  }
  if (rightButton && !kind.corrects) return;
  change((part) =>
    kind.box && !kind.corrects
      ? { ...part, points: [point], labels: [1] }
      : { ...part, points: [...part.points, point], labels: [...part.labels, inside ? 1 : 0] },
  );
}

function change(update) {
  if (stepping) {
    say("One moment, something is being undone …");
    return;
  }
  current.parts = [...current.parts.slice(0, -1), update(last())];
  forgive();
  tell(current);
}

// What the clicks that follow are for: another object, or to add to this one, take away or keep.
function choose(mode) {
  if (!current) return;
  if (mode === "new") {
    next();
  } else if (!current.parts.some(kind.ready)) {
    say("First point at an object; then add to it, or take away from it.");
  } else if (kind.ready(last())) {
    current.parts = [...current.parts, nothing(mode)];
  } else if (current.parts.length > 1) {
    current.parts = [...current.parts.slice(0, -1), { ...last(), mode }];
    if (!isEmpty(last())) tell(current);
  }
  redraw();
}

function next() {
  if (!current || current.parts.every(isEmpty)) return;
  if (highest() >= MOST) complain(new Error(`A palette has numbers for ${MOST} objects only.`));
  else add();
  redraw();
}

const highest = () => Math.max(0, ...objects.map((one) => one.number));

function add() {
  current = make(highest() + 1);
  objects.push(current);
}

function remove(object) {
  if (stepping) return;
  const known = bodyOf(object.parts, kind.ready) !== null;
  objects = objects.filter((one) => one !== object);
  if (objects.length === 0) add();
  if (current === object) current = objects.at(-1);
  if (known) {
    changed();
    enqueue(`Object ${object.number} …`, (mine) => dropObject(mine, object.number));
  }
  redraw();
}

// Sends what an object is now.
function tell(object) {
  const body = bodyOf(object.parts, kind.ready);
  changed();
  enqueue(`Object ${object.number} …`, async (mine) => {
    await setLayer(object, await putObject(mine, object.number, body));
  });
  redraw();
}

function changed() {
  counts = { undo: counts.undo + 1, redo: 0 };
}

// Carries a job out in its turn. What the server refuses leaves everything as the server has it.
function enqueue(text, job) {
  const [mine, of] = [picture, epoch];
  queue = queue.then(async () => {
    if (of !== epoch) return;
    const done = await busily(text, async () => { await job(mine); return true; });
    if (done === null && of === epoch) {
      epoch += 1;
      stepping = 0;
      await busily("", async () => adopt(await stateOf(mine)));
    }
    redraw();
  });
}

// Makes the server's state the page's.
async function adopt(state) {
  if (state.id !== picture.id) return;
  counts = state;
  const known = new Map(objects.map((one) => [one.number, one]));
  const changed = [];
  const said = (parts) => JSON.stringify(bodyOf(parts, kind.ready));
  objects = Object.entries(state.objects).map(([number, body]) => {
    const before = known.get(Number(number));
    const parts = partsOf(body);
    if (before && said(before.parts) === said(parts)) return before;
    const object = make(Number(number), parts);
    changed.push(object);
    return object;
  });
  if (objects.length === 0) add();
  current = changed.at(-1) ?? (objects.includes(current) ? current : objects.at(-1));
  redraw();
  for (const object of changed.filter((one) => one.parts.some(kind.ready))) {
    await setLayer(object, await get(picture, `objects/${object.number}/mask?view=true`));
  }
}

async function setLayer(object, blob) {
  object.near = null;
  object.layer = blob && (await layer(blob, object.number, region.whole()));
  redraw();
  lookNearer();
}

function regionChanged() {
  near.changed();
  looks += 1;
  for (const object of objects) object.near = null;
  paint();
}

async function lookNearer() {
  looks += 1;
  const mine = looks;
  if (!isNeeded(picture)) return;
  near.settled(picture);
  const window = region.corners();
  for (const object of objects.filter((one) => one.layer && !one.near)) {
    const path = `objects/${object.number}/mask?view=true`;
    const blob = await busily("", () => get(picture, path, window));
    if (!blob || mine !== looks) return;
    object.near = await layer(blob, object.number, window);
    paint();
  }
}

async function downloadObject(output) {
  const { number } = current;
  const blob = await busily("Preparing …", () => get(picture, `objects/${number}/${output}`));
  if (blob) save(blob, `${stem(picture)}-${number}-${output === "rgba" ? "cut-out" : output}.png`);
}

async function downloadAll(format) {
  const blob = await busily("Preparing …", () => get(picture, format));
  if (blob) save(blob, `${stem(picture)}-${format === "coco" ? "coco.json" : "palette.png"}`);
}

function paint() {
  if (current) draw(find("#marks"), region.get(), { objects, current, cross, drag });
}

function redraw() {
  if (!current) return;
  paint();
  find("#hint").textContent = kind.hint(last());
  find(`input[name=mode][value=${last().mode}]`).checked = true;
  for (const radio of all("input[name=mode]")) {
    radio.disabled = radio.value !== "new" && !current.parts.some(kind.ready);
  }
  find("#next").disabled = current.parts.every(isEmpty);
  for (const button of all("[data-object]")) button.disabled = current.layer === null;
  for (const button of all("[data-all]")) button.disabled = objects.every((one) => !one.layer);
  showHistory(counts);
  listObjects();
}

function listObjects() {
  const list = find("#objects");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...objects.map(row));
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

function row(object) {
  const item = document.createElement("li");
  const pick = document.createElement("button");
  const drop = document.createElement("button");
  const share = document.createElement("small");
  share.textContent = object.layer ? `${(100 * object.layer.share).toFixed(1)} %` : "no mask yet";
  pick.type = drop.type = "button";
  pick.className = "pick";
  pick.dataset.key = `pick${object.number}`;
  if (object === current) pick.setAttribute("aria-current", "true");
  pick.append(swatch(object.number), `Object ${object.number}`, share);
  pick.addEventListener("click", () => { current = object; redraw(); });
  drop.dataset.key = `drop${object.number}`;
  drop.textContent = "×";
  drop.setAttribute("aria-label", `Remove object ${object.number}`);
  drop.addEventListener("click", () => remove(object));
  item.append(pick, drop);
  return item;
}

function swatch(number) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 16;
  const context = canvas.getContext("2d");
  context.fillStyle = `rgb(${colour(number).join(" ")})`;
  context.fillRect(0, 0, 16, 16);
  return canvas;
}
