// Masks are saved and removed; what changed on disk meanwhile is the user's choice.

import { open, openIn } from "./browsing.js";
import { fill, painter, view } from "./canvas.js";
import { bindKeys } from "./keys.js";
import * as server from "./server.js";
import { announce, element, entries, entry, listen, on, part, state, stem } from "./state.js";

function showState() {
  const { mask, version, dirty } = entry();
  const saved = version === "absent" ? "No mask" : mask.empty ? "Saved: not in this frame" : "Saved";
  element("mask-state").textContent = dirty ? "Not saved" : saved;
  element("undo").disabled = !mask.done.length;
  element("redo").disabled = !mask.undone.length;
  element("remove").disabled = version === "absent";
}

// Saves the mask of a frame, by default of the one that is shown.
async function save(current = view.mask && entry()) {
  painter.finish();
  if (!current) return;
  const values = current.mask.values.slice();
  const { version, empty } = await server.putMask(current.part, current.stem, current.mask.toRuns(), current.version);
  current.version = version;
  // The browser compares bytes fastest this way; a stroke may have been painted meanwhile.
  entries.mark(current, indexedDB.cmp(current.mask.values, values) !== 0);
  const owner = state.clip.parts.find(({ name }) => name === current.part);
  if (owner && !owner.masks.includes(current.stem)) owner.masks.push(current.stem);
  if (current.part === state.part) state.empty[empty ? "add" : "delete"](current.stem);
  announce("saved", { part: current.part, stem: current.stem });
  if (view.mask === current.mask) showState();
}

// Saves all masks, because a job reads the files; one that cannot be saved is shown, and the error thrown.
export async function saveAll() {
  painter.finish();
  for (const current of entries.dirty) {
    try {
      await save(current);
    } catch (error) {
      await openIn(current.part, current.stem);
      throw error;
    }
  }
}

async function markAbsent() {
  if (!view.mask) return;
  fill(new Uint8Array(view.mask.values.length));
  await save();
}

async function remove() {
  if (!view.mask) return;
  const [name, owner, { version }] = [stem(), part(), entry()];
  await server.deleteMask(owner.name, name, version);
  entries.delete(owner.name, name);
  owner.masks = owner.masks.filter((other) => other !== name);
  state.empty.delete(name);
  announce("saved", { part: owner.name, stem: name });
  await open(state.index);
}

listen("opening", () => {
  element("conflict").hidden = true;
  element("mask-state").textContent = "Opening the frame";
});
listen("opened", showState);
listen("painted", () => {
  // Strokes that are undone leave no mask: saved, it would mean that the subject is absent.
  const { version, mask } = entry();
  entries.mark(entry(), version !== "absent" || !mask.empty);
  showState();
});
listen("conflict", (version) => {
  entry().latest = version;
  element("conflict").hidden = false;
  element("keep-mine").focus();
});
on("save", "click", () => save());
on("absent", "click", markAbsent);
on("remove", "click", remove);
on("keep-mine", "click", async () => {
  element("conflict").hidden = true;
  entry().version = entry().latest;
  await save();
});
on("take-theirs", "click", async () => {
  entries.delete(state.part, stem());
  await open(state.index);
});
bindKeys({ "ctrl s": () => save() });

addEventListener("beforeunload", (event) => {
  if (entries.dirty.length && !entries.database) event.preventDefault();
});
