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
  throw new Error(said.error ?? `The server answered ${response.status}.`);
}

const at = (picture, rest) => `/api/pictures/${encodeURIComponent(picture.id)}/${rest}`;

export const model = async () => (await ask("/api/model")).json();

export async function upload(file) {
  const name = encodeURIComponent((file.name || "pasted picture").slice(-200));
  const headers = { "Content-Type": "application/octet-stream" };
  return (await ask(`/api/pictures?name=${name}`, { method: "POST", body: file, headers })).json();
}

export const get = async (picture, what) => (await ask(at(picture, what))).blob();

export async function putObject(picture, number, clicks) {
  const options = {
    method: "PUT",
    body: JSON.stringify(clicks),
    headers: { "Content-Type": "application/json" },
  };
  return (await ask(at(picture, `objects/${number}`), options)).blob();
}

export const dropObject = (picture, number) =>
  ask(at(picture, `objects/${number}`), { method: "DELETE" });
