// Masks that are predicted for the frame that is shown: as a starting point, and to see what a correction changed.

import { fill, view } from "./canvas.js";
import { Mask } from "./mask.js";
import { say } from "./message.js";
import { getDisagreement, getPrediction, getPropagated } from "./server.js";
import { background, element, listen, on, part, state, stem } from "./state.js";

const NOW = "now"; // propagated for this frame, without any masks on disk
const EVERY = 1000; // milliseconds between two looks at the masks that a job makes
let looked = 0;

async function start() {
  const [mask, masker] = [view.mask, element("masker").value];
  let image = masker === NOW ? null : await getPrediction(state.part, masker, stem());
  if (!image) {
    say("Propagating the nearest masks to this frame.", "note");
    image = await getPropagated(state.part, stem());
    say("");
  }
  if (view.mask === mask) fill(Mask.fromImage(image).values);
}

async function show() {
  const [kind, masker, name, owner] = [element("shown").value, element("masker").value, stem(), state.part];
  let image = null;
  if (kind === "disagreement") image = await getDisagreement(owner, name);
  if (kind === "prediction" && masker !== NOW) image = await getPrediction(owner, masker, name);
  if (name !== stem() || owner !== state.part || kind !== element("shown").value) return;
  view.setPrediction(image, kind === "disagreement" ? [255, 140, 0] : [0, 200, 255]);
  element("shown-state").textContent = kind !== "nothing" && !image ? "Not made for this frame yet." : "";
}

listen("part", () => {
  const before = element("masker").value;
  const { maskers } = part();
  element("masker").replaceChildren(...maskers.map((name) => new Option(name)), new Option("propagation, now", NOW));
  element("masker").value = maskers.includes(before) ? before : maskers.includes("ensemble") ? "ensemble" : (maskers.at(-1) ?? NOW);
});
listen("opened", () => background(show));
listen("job-end", () => background(show));
listen("job", ({ status }) => {
  const now = performance.now();
  if (status !== "running" || element("shown").value === "nothing" || now - looked < EVERY || !view.mask) return;
  looked = now;
  background(show);
});
on("shown", "change", show);
on("masker", "change", show);
on("start-from-prediction", "click", start);
