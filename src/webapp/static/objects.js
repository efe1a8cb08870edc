// Objects that are pointed at, as the page and as the server write them.
//   parts    clicks one after the other, each { mode, points, labels, box }; the first one's mode is
//            "new", and the last one's clicks may not be enough for a mask yet
//   layer    the mask, drawn; near: the same of what is looked at, from near

export const nothing = (mode = "new") => ({ mode, points: [], labels: [], box: null });
export const isEmpty = ({ points, box }) => points.length === 0 && box === null;

const clicksOf = ({ points, labels, box }) => ({ points, labels, box });
const moded = (part) => ({ mode: part.mode, ...clicksOf(part) });

export const make = (number, parts = [nothing()]) => ({ number, parts, layer: null, near: null });

// What the server is told of an object; null where there is nothing to tell.
export function bodyOf(parts, isReady) {
  const ready = parts.filter(isReady);
  const last = parts.at(-1);
  const draft = isReady(last) || isEmpty(last) ? null : last;
  if (!ready.length && !draft) return null;
  return {
    ...(ready.length ? clicksOf(ready[0]) : {}),
    combine: ready.slice(1).map(moded),
    ...(draft && { draft: { ...moded(draft), mode: ready.length ? draft.mode : null } }),
  };
}

export function partsOf({ points = [], labels = [], box = null, combine, draft = null }) {
  const part = (mode, clicks) => ({
    mode,
    points: clicks.points,
    labels: clicks.labels ?? clicks.points.map(() => 1),
    box: clicks.box,
  });
  const first = part("new", { points, labels, box });
  const parts = isEmpty(first) ? [] : [first];
  for (const more of combine) parts.push(part(more.mode, more));
  if (draft) parts.push(part(draft.mode ?? "new", draft));
  return parts;
}
