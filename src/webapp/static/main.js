// Takes pictures in and hands them to the view that the model needs.

import * as api from "./api.js";
import * as clicking from "./clicking.js";
import * as compare from "./compare.js";
import { busily, complain, find, forgive } from "./shell.js";

const PURPOSE = {
  null: "Finds what stands out and cuts it out: a mask with soft edges, at the size of your picture.",
  extreme_points: "Cuts out the objects that you point at, by their four outermost points.",
  inside_outside: "Cuts out the objects that you point at, by a box around and a click inside.",
  refine: "Cuts out the objects that you point at, by a box and clicks, as many as you like.",
};

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
  find("#welcome").hidden = true;
  find("#work").hidden = false;
  find("#another").hidden = false;
  await view.open(opened.picture, opened.preview);
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
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    forgive();
    find("#about").open = false;
  });
}

async function start() {
  model = await busily("", api.model);
  if (model === null) return;
  introduce();
  view = model.clicks === null ? compare : clicking;
  for (const id of model.clicks === null ? ["#compare", "#cutting"] : ["#pointing", "#clicking"]) {
    find(id).hidden = false;
  }
  view.start(model);
}

listen();
started = start();
