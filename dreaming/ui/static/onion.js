// The mask of the nearest painted frame, shown over this one.

import { view } from "./canvas.js";
import { bindKeys } from "./keys.js";
import { Mask } from "./mask.js";
import { say } from "./message.js";
import { getMask } from "./server.js";
import { element, listen, on, part, state, stem } from "./state.js";

let shown = 0; // counts requests, of which only the last one is shown

function nearest() {
  const painted = new Set(part().masks);
  const { frames } = state.clip;
  for (let distance = 1; distance < frames.length; distance++) {
    for (const name of [frames[state.index - distance], frames[state.index + distance]]) {
      if (painted.has(name)) return name;
    }
  }
  return null;
}

async function show() {
  const request = ++shown;
  const name = element("onion").checked && stem() ? nearest() : null;
  const { image } = name ? await getMask(state.part, name) : {};
  if (request === shown) view.setOnion(image ? Mask.fromImage(image) : null);
}

const update = () => show().catch((error) => say(error.message));

listen("opened", update);
listen("saved", update);
on("onion", "change", show);
on("colour", "input", show);
bindKeys({ o: () => element("onion").click() }, "masks");
