// The pictures that are shown of a frame outside the painting of masks: keyframes and results.

import { accompany, frames, open } from "./browsing.js";
import { CompareView } from "./compare_view.js";
import { element, listen, state } from "./state.js";

export const comparison = new CompareView(element("comparison"), (share) => setBorder(share));

let folders = [];
let layout = "beside";

const LABELS = { frames: "Source", composite: "Composite" };
const KINDS = { masks: "Mask", keyframes: "Keyframe", styled: "Styled" };

// What a folder of pictures is called on the page.
export function labelOf(folder) {
  const [kind, ...names] = folder.split("/");
  if (kind === "preview") return `Preview: ${labelOf(names.join("/"))}`;
  return LABELS[folder] ?? `${KINDS[kind] ?? kind}: ${names.join(", ")}`;
}

function setBorder(share) {
  element("border").value = share * element("border").max;
  comparison.setBorder(share);
}

// Shows these folders' pictures of every frame from now on.
export async function compare(names, arrangement) {
  folders = names;
  layout = arrangement;
  if (state.clip?.frames.length) await open(state.index);
}

accompany(async (stem, signal) => {
  const [names, arrangement] = [folders, layout];
  const images = await Promise.all(names.map((folder) => frames.get(stem, signal, folder)));
  return () => {
    if (state.workspace === "cleanup") return; // which shows pictures of its own
    const pictures = names.map((folder, index) => ({ label: labelOf(folder), image: images[index] }));
    comparison.show(pictures, arrangement);
    element("comparison").setAttribute("aria-label", `Frame ${stem}: ${pictures.map(({ label }) => label).join(", ")}`);
  };
});
listen("workspace", () => {
  if (["masks", "cleanup", "live"].includes(state.workspace)) folders = [];
});
listen("fit", () => comparison.fit());
listen("zoom", (factor) => comparison.zoomCentre(factor));
element("border").addEventListener("input", () => comparison.setBorder(element("border").value / element("border").max));
