// Models with clicks: objects are pointed at one after the other.

import { dropObject, get, putObject } from "./api.js";
import { KINDS } from "./kinds.js";
import { colour, draw, layer } from "./marks.js";
import { listen } from "./pointer.js";
import { all, busily, complain, find, forgive, save, say, show, stem } from "./shell.js";

const MOST = 254; // objects, as many as a palette PNG has numbers for

let kind = null;
let picture = null;
let objects = [];
let current = null;
let latest = 0; // the number given last; none is given twice, so that no late answer finds it
let cross = null;
let drag = null;

const nothing = () => ({ points: [], labels: [], box: null });
const isEmpty = ({ points, box }) => points.length === 0 && box === null;

export function start(model) {
  kind = KINDS[model.clicks];
  find("#sides").hidden = !kind.corrects;
  find("#undo").addEventListener("click", undo);
  find("#next").addEventListener("click", next);
  for (const button of all("[data-object]")) {
    button.addEventListener("click", () => downloadObject(button.dataset.object));
  }
  for (const button of all("[data-all]")) {
    button.addEventListener("click", () => downloadAll(button.dataset.all));
  }
  listen(find("#marks"), () => picture, kind.box, {
    onClick: click,
    onBox: (box) => change(() => ({ ...nothing(), box })), // another box, another object
    onDrag: (box) => { drag = box; paint(); },
    onCross: (point) => { cross = point; paint(); },
  });
  document.addEventListener("keydown", shortcut);
  new ResizeObserver(paint).observe(find("#pointed"));
}

export async function open(opened, preview) {
  picture = opened;
  objects = [];
  latest = 0;
  add();
  find("#pointing").style.setProperty("--ratio", opened.width / opened.height);
  await show(find("#pointed"), preview);
  redraw();
  find("#marks").focus({ preventScroll: true });
}

function shortcut(event) {
  if (!picture || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "z") undo();
  if (event.key === "n") next();
}

function click(point, rightButton) {
  const chosen = find("input[name=side]:checked").value === "1";
  const inside = !kind.corrects || (rightButton ? false : chosen);
  if (kind.box && current.clicks.box === null) {
    say("First drag a box around the object.");
    return;
  }
  if (rightButton && !kind.corrects) return;
  change((clicks) =>
    kind.box && !kind.corrects
      ? { ...clicks, points: [point], labels: [1] }
      : { ...clicks, points: [...clicks.points, point], labels: [...clicks.labels, inside ? 1 : 0] },
  );
}

function change(update) {
  current.history.push(current.clicks);
  current.clicks = update(current.clicks);
  forgive();
  ask(current);
}

function undo() {
  if (current.history.length === 0) return;
  current.clicks = current.history.pop();
  ask(current);
}

function next() {
  if (isEmpty(current.clicks)) return;
  if (latest >= MOST) complain(new Error(`A palette has numbers for ${MOST} objects only.`));
  else add();
  redraw();
}

function add() {
  latest += 1;
  const clicks = nothing();
  current = {
    number: latest,
    clicks, // never changed, only replaced
    history: [], // the clicks before, to undo to
    accepted: clicks, // what the server knows
    layer: null,
    asking: false,
    again: false,
  };
  objects.push(current);
}

function remove(object) {
  object.clicks = nothing();
  ask(object); // the server forgets it in its turn
  objects = objects.filter((one) => one !== object);
  if (objects.length === 0 && latest < MOST) add();
  if (current === object) current = objects.at(-1);
  redraw();
}

// Brings the server's mask of an object up to date. One request at a time: clicks that come
// meanwhile are sent together when it has answered.
async function ask(object) {
  redraw();
  object.again = object.asking;
  if (object.asking) return;
  object.asking = true;
  const mine = picture;
  do {
    object.again = false;
    await busily(`Object ${object.number} …`, () => askOnce(mine, object));
  } while (object.again && mine === picture);
  object.asking = false;
  redraw();
}

async function askOnce(mine, object) {
  const asked = object.clicks;
  if (!kind.ready(asked)) {
    object.layer = null;
    await dropObject(mine, object.number);
    object.accepted = asked;
    return;
  }
  try {
    object.layer = await layer(await putObject(mine, object.number, asked), object.number);
    object.accepted = asked;
  } catch (error) {
    // The server kept the mask of the clicks before, and so do we.
    object.clicks = object.accepted;
    const place = object.history.indexOf(object.accepted);
    if (place >= 0) object.history.length = place;
    throw error;
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
  if (picture) draw(find("#marks"), picture, { objects, current, cross, drag });
}

function redraw() {
  paint();
  find("#hint").textContent = kind.hint(current.clicks);
  find("#undo").disabled = current.history.length === 0;
  find("#next").disabled = isEmpty(current.clicks);
  for (const button of all("[data-object]")) button.disabled = current.layer === null;
  for (const button of all("[data-all]")) button.disabled = objects.every((one) => !one.layer);
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
