// A masker's mask of the frame that is shown, as a starting point.

import { fill, view } from "./canvas.js";
import { Mask } from "./mask.js";
import { getPrediction } from "./server.js";
import { element, listen, on, part, state, stem } from "./state.js";

async function start() {
  const mask = view.mask;
  const image = await getPrediction(state.part, element("masker").value, stem());
  if (view.mask === mask) fill(Mask.fromImage(image).values);
}

listen("part", () => {
  const { maskers } = part();
  element("prediction").hidden = !maskers.length;
  element("masker").replaceChildren(...maskers.map((name) => new Option(name)));
  if (maskers.includes("ensemble")) element("masker").value = "ensemble";
});
on("start-from-prediction", "click", start);
