// Takes pictures in, hands them to the view that the model needs, and goes on after a reload.

import * as api from "./api.js";
import * as clicking from "./clicking.js";
import * as compare from "./compare.js";
import * as region from "./region.js";
import { all, busily, complain, find, forget, forgive, keep, kept } from "./shell.js";

const PURPOSE = {
  null: "Finds what stands out and cuts it out: a mask with soft edges, at the size of your picture.",
  extreme_points: "Cuts out the objects that you point at, by their four outermost points.",
  inside_outside: "Cuts out the objects that you point at, by a box around and a click inside.",
  refine: "Cuts out the objects that you point at, by a box and clicks, as many as you like.",
};

const LATEST = "finecut-latest"; // the picture that any tab opened last

let started = null; // settled when the model is known, or is known to be missing
let model = null;
let view = null;

function introduce() {
  find("#model").textContent = `${model.model} · ${model.size} · ${model.device}`;
  find("#purpose").textContent = PURPOSE[model.clicks];
  find("#limits").textContent =
    `up to ${model.max_megapixels} megapixels and ${model.max_upload_mb} MB; stays on this server`;
  const millions = (model.parameters / 1e6).toFixed(1);
  const sets = model.trained_on?.join(", ") ?? "not stated";
  fact("Model", `${model.model}, ${millions} M parameters`);
  fact("Input size", model.size);
  fact("Weights", model.weights, model.page);
  fact("Trained on", sets);
  fact("License", model.license);
  fact("SHA-256", `${model.sha256.slice(0, 16)}…`);
  fact("Runs on", model.device);
}

function fact(name, value, address) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  if (address) {
    const link = document.createElement("a");
    Object.assign(link, { href: address, textContent: value, target: "_blank", rel: "noopener" });
    description.replaceChildren(link);
  }
  find("#facts").append(term, description);
}

function checkSize(file) {
  if (file.size > model.max_upload_mb * 1e6) {
    throw new Error(`${file.name} is larger than ${model.max_upload_mb} MB, the limit here.`);
  }
}

async function take(file) {
  if (!file) return;
  await started; // a picture may come before the model is known
  if (!model) return;
  forgive();
  const opened = await busily(`Sending ${file.name} …`, async () => {
    checkSize(file);
    const picture = await api.upload(file);
    return { picture, preview: await api.get(picture, "picture") };
  });
  if (opened === null) return;
  await present(opened.picture, opened.preview);
}

async function present(picture, preview, seen = null) {
  find("#welcome").hidden = true;
  find("#work").hidden = false;
  find("#another").hidden = false;
  region.open(picture, seen);
  keep({ id: picture.id });
  localStorage.setItem(LATEST, JSON.stringify({ id: picture.id, name: picture.name }));
  await view.open(picture, preview);
}

// Goes on with a picture that the server still has; a sentence where it has not.
async function resume(id, seen = null) {
  const found = await busily("Fetching your picture …", async () => {
    try {
      const picture = await api.state({ id });
      return { picture, preview: await api.get(picture, "picture") };
    } catch (error) {
      if (error.status === 404) forget();
      throw error;
    }
  });
  if (found !== null) await present(found.picture, found.preview, seen);
}

// In another tab than the one that was reloaded: only offered.
async function offerLatest() {
  const { id, name } = JSON.parse(localStorage.getItem(LATEST) ?? "{}");
  if (!id) return;
  if (!(await api.state({ id }).catch(() => null))) {
    localStorage.removeItem(LATEST);
    return;
  }
  const button = find("#continue");
  button.textContent = `Go on with ${name}`;
  button.hidden = false;
  button.addEventListener("click", () => resume(id));
}

function listen() {
  const file = find("#file");
  file.addEventListener("change", () => {
    take(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  find("#another").addEventListener("click", () => file.click());
  find("#error button").addEventListener("click", forgive);
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const dropped = event.dataTransfer.files[0];
    if (dropped) take(dropped);
    else complain(new Error("That was no file. Save the picture first, then drop its file."));
  });
  find("#keys").addEventListener("click", help);
  find("#undo").addEventListener("click", () => view?.step("undo"));
  find("#redo").addEventListener("click", () => view?.step("redo"));
  find("#zoom-in").addEventListener("click", region.zoomIn);
  find("#zoom-out").addEventListener("click", region.zoomOut);
  find("#zoom-fit").addEventListener("click", region.fit);
  document.addEventListener("keydown", key);
}

function help() {
  find("#help").showModal();
}

const KEYS = {
  "?": help,
  o: () => find("#file").click(),
  "+": region.zoomIn,
  "=": region.zoomIn, // + without Shift
  "-": region.zoomOut,
  0: region.fit,
  z: () => view?.step("undo"),
  y: () => view?.step("redo"),
  Z: () => view?.step("redo"),
};

function key(event) {
  if (find("#help").open) return;
  if (event.key === "Escape") {
    forgive();
    find("#about").open = false;
    return;
  }
  if (event.altKey || (event.repeat && !"+-=".includes(event.key))) return;
  const editing = "zyZ".includes(event.key);
  if ((event.ctrlKey || event.metaKey) && !editing) return; // the browser's own
  const action = KEYS[event.key] ?? (find("#work").hidden ? null : view?.keys[event.key]);
  if (!action) return;
  event.preventDefault();
  action();
}

function showZoom() {
  const { zoom } = region.get();
  find("#zoom-fit").textContent = `${Math.round(100 * zoom)} %`;
  find("#zoom-out").disabled = find("#zoom-fit").disabled = region.isWhole();
}

async function start() {
  model = await busily("", api.model);
  if (model === null) return;
  introduce();
  view = model.clicks === null ? compare : clicking;
  for (const id of model.clicks === null ? ["#compare", "#cutting"] : ["#pointing", "#clicking"]) {
    find(id).hidden = false;
  }
  for (const rows of all("[data-for]")) {
    rows.hidden = (rows.dataset.for === "cutting") !== (model.clicks === null);
  }
  view.start(model);
  region.listen({
    changed: showZoom,
    settled: () => keep({ region: region.get() }),
  });
  const { id, region: seen } = kept();
  if (id) await resume(id, seen);
  else await offerLatest();
}

listen();
started = start();
