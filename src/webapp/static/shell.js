// What both views share: finding elements, saying things, being busy, saving files.

export const find = (selector) => document.querySelector(selector);
export const all = (selector) => [...document.querySelectorAll(selector)];

let working = 0;

export function say(text) {
  find("#status").textContent = text;
}

export function complain(error) {
  find("#error p").textContent = error.message;
  find("#error").hidden = false;
}

export function forgive() {
  find("#error").hidden = true;
}

// Runs a job with the bar moving; shows its failure. Gives null if it failed.
export async function busily(text, job) {
  working += 1;
  find("#busy").hidden = false;
  say(text);
  try {
    return await job();
  } catch (error) {
    complain(error);
    return null;
  } finally {
    working -= 1;
    find("#busy").hidden = working === 0;
    if (working === 0) say("");
  }
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function stem(picture) {
  return picture.name.replace(/\.[^.]+$/, "") || "picture";
}

// Shows a blob and frees the one shown before; resolves when it can be seen.
export async function show(image, blob) {
  const url = URL.createObjectURL(blob);
  const before = image.src;
  image.src = url;
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
  await image.decode();
}

// Whether there is something to undo, and to redo.
export function showHistory({ undo, redo }) {
  find("#undo").disabled = !undo;
  find("#redo").disabled = !redo;
}

const KEPT = "finecut"; // in this tab: the picture, and what of it is looked at

// What a reload of this tab goes on with; the server knows the rest by the picture's id.
export function keep(what) {
  sessionStorage.setItem(KEPT, JSON.stringify({ ...kept(), ...what }));
}

export function kept() {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
}

export function forget() {
  sessionStorage.removeItem(KEPT);
}
