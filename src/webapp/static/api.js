// What the server offers. Every failure is an Error whose message can be shown.

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is app.py still running?");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const error = new Error(said.error ?? `The server answered ${response.status}.`);
  error.status = response.status;
  throw error;
}

const at = ({ id }, rest = "") => `/api/pictures/${encodeURIComponent(id)}${rest && `/${rest}`}`;

const json = (method, value) => ({
  method,
  body: JSON.stringify(value),
  headers: { "Content-Type": "application/json" },
});

export const model = async () => (await ask("/api/model")).json();

// Everything that follows answers with a picture's state: its id, size, objects, windows, and how
// often there is something to undo and to redo.
export async function upload(file) {
  const name = encodeURIComponent((file.name || "pasted picture").slice(-200));
  const headers = { "Content-Type": "application/octet-stream" };
  return (await ask(`/api/pictures?name=${name}`, { method: "POST", body: file, headers })).json();
}

export const state = async (picture) => (await ask(at(picture))).json();

export const sharpen = async (picture, window, overrule) =>
  (await ask(at(picture, "windows"), json("POST", { window, overrule }))).json();

// `which` is undo or redo.
export const step = async (picture, which) =>
  (await ask(at(picture, which), { method: "POST" })).json();

// A file; of a window, x0, y0, x1, y1, if one is given.
export async function get(picture, what, window = null) {
  const query = window && `${what.includes("?") ? "&" : "?"}window=${window}`;
  return (await ask(at(picture, `${what}${query ?? ""}`))).blob();
}

// The mask to look at; null where there is none yet.
export async function putObject(picture, number, body) {
  const response = await ask(at(picture, `objects/${number}`), json("PUT", body));
  return response.status === 204 ? null : response.blob();
}

export const dropObject = (picture, number) =>
  ask(at(picture, `objects/${number}`), { method: "DELETE" });
