// An image in a figure, and over it the pixels of the region that is looked at, once they have come.
// What covers the whole picture has at most 1600 pixels a side, which is too few from near.

import * as region from "./region.js";
import { show } from "./shell.js";

const LONGEST = 1600; // sides of what the server sends of the whole, see VIEW in session_store.py

export const isNeeded = (picture) =>
  !region.isWhole() && Math.max(picture.width, picture.height) > LONGEST;

// `fetch(window)` gives the pixels of a window as a blob, or null.
export function closeup(image, fetch) {
  const near = image.cloneNode();
  near.id = `${image.id}-near`;
  near.alt = "";
  near.hidden = true;
  image.after(near);
  let asked = 0; // so that no late answer is shown

  function changed() {
    asked += 1;
    near.hidden = true;
    image.style.visibility = "";
    region.place(image, region.whole());
  }

  async function settled(picture) {
    asked += 1;
    const mine = asked;
    if (!isNeeded(picture)) return;
    const window = region.corners();
    const blob = await fetch(window);
    if (!blob || mine !== asked) return;
    await show(near, blob);
    if (mine !== asked) return;
    region.place(near, window);
    near.dataset.window = window;
    near.hidden = false;
    image.style.visibility = "hidden"; // or it would shine through what is transparent
  }

  return { changed, settled };
}
