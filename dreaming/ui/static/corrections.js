// After a mask is saved, the masks that depend on it are made again; a correction can be undone; what to paint next.

import { open } from "./browsing.js";
import { isActive, run } from "./job.js";
import { stopJob, undoMask } from "./server.js";
import { announce, attempt, background, element, entries, entry, listen, on, part, state, stem } from "./state.js";

let waiting = false; // for a job to end
let busy = false; // while a job is started, which saves masks itself

async function update() {
  if (!element("update-masks").checked || !part().maskers.length || busy) return;
  waiting = isActive();
  if (isActive("correct")) await stopJob(); // its masks would be of the mask before; those that stay valid are kept
  if (waiting) return;
  busy = true;
  try {
    await run("correct");
  } finally {
    busy = false;
  }
}

async function undo() {
  const [owner, name] = [part(), stem()];
  const { version } = await undoMask(owner.name, name, entry().version);
  entries.delete(owner.name, name);
  owner.masks = owner.masks.filter((other) => other !== name || version !== "absent");
  if (version !== "absent" && !owner.masks.includes(name)) owner.masks.push(name);
  await open(state.index);
  announce("saved", { part: owner.name, stem: name });
}

function showSuggestions() {
  const painted = new Set(part().masks);
  const next = part().suggestions.filter((name) => !painted.has(name));
  element("suggestions").replaceChildren(
    ...(next.length ? ["Paint next:"] : []),
    ...next.map((name) => {
      const button = Object.assign(document.createElement("button"), { textContent: name });
      button.addEventListener("click", () => attempt(() => open(state.clip.frames.indexOf(name))));
      return button;
    }),
  );
}

listen("part", showSuggestions);
listen("saved", () => {
  showSuggestions();
  background(update);
});
listen("job-end", () => {
  if (waiting) background(update);
});
on("undo-correction", "click", undo);
