// The cuts of the clip: markers in the strip, and a button that sets or removes one at the frame that is shown.

import { drawStrip } from "./browsing.js";
import { say } from "./message.js";
import { getShots, putShots } from "./server.js";
import { announce, background, element, listen, on, state, stem } from "./state.js";

const button = element("cut");
let version = null;

function show(answer) {
  version = answer.version;
  state.cuts = answer.shots && new Set(answer.shots);
  drawStrip();
  drawButton();
}

function drawButton() {
  button.textContent = state.cuts?.has(stem()) ? "No cut here" : "Cut here";
  button.disabled = !state.cuts || state.index === 0;
  button.title = state.cuts ? "A shot begins at this frame; saved to clip.yaml" : "The first run finds the cuts";
}

const update = async () => show(await getShots());

async function toggle() {
  const cuts = new Set(state.cuts);
  if (!cuts.delete(stem())) cuts.add(stem());
  try {
    show(await putShots([...cuts], version));
  } catch (error) {
    if (error.status !== 409) throw error;
    await update();
    throw new Error("Another program changed clip.yaml meanwhile. Its cuts are shown now; set yours again.");
  }
  announce("stored");
  say("Saved to clip.yaml. The next run makes anew what depends on it.", "note");
}

on("cut", "click", toggle);
listen("clip", () => background(update));
listen("opening", drawButton);
listen("job-end", () => background(update));
