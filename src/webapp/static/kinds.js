// What each kind of model is pointed at with.
//   box       an object starts with a box around it
//   corrects  any number of clicks, inside and outside, follow
//   ready     whether the server can be asked for a mask
//   hint      what to do next

const EXTREMES = ["left", "right", "top", "bottom"];

export const KINDS = {
  extreme_points: {
    box: false,
    corrects: false,
    ready: (clicks) => clicks.points.length >= EXTREMES.length,
    hint: ({ points }) =>
      points.length < EXTREMES.length
        ? `Click the object's outermost points on the left, right, top and bottom, in any order: ` +
          `${points.length} of ${EXTREMES.length}.`
        : "Go on with the next object. A further click on the outline widens this one.",
  },
  inside_outside: {
    box: true,
    corrects: false,
    ready: (clicks) => clicks.box !== null,
    hint: ({ box, points }) => {
      if (box === null) return "Drag a box tightly around an object.";
      if (points.length === 0) return "The middle of the box counts as inside. Click the object if it is not.";
      return "Click another place to move the inside point, or drag a new box.";
    },
  },
  refine: {
    box: true,
    corrects: true,
    ready: (clicks) => clicks.box !== null,
    hint: ({ box }) =>
      box === null
        ? "Drag a box tightly around an object."
        : "Click what is missing; right-click, or choose Outside, for what is too much.",
  },
};
