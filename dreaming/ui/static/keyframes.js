// Keyframes: frames are downloaded, painted elsewhere, and dropped onto the page.

import { load, open } from "./browsing.js";
import { compare } from "./comparison.js";
import { ask, say } from "./message.js";
import * as server from "./server.js";
import { announce, attempt, element, listen, on, state, stem } from "./state.js";
import { setWorkspace } from "./workspace.js";

const DEFAULT_LAYER = "painted";

let current = null; // what is shown: layer, frame, and the keyframe's version and file name

const layer = () => element("layer").value;

// Offers these layers, besides those that have keyframes.
export function offerLayers(names) {
  const all = [...new Set([...Object.keys(state.clip.keyframes), ...names])].sort();
  const before = layer();
  element("layer").replaceChildren(...(all.length ? all : [DEFAULT_LAYER]).map((name) => new Option(name)));
  if (all.includes(before)) element("layer").value = before;
}

async function update() {
  if (state.workspace !== "keyframes" || !stem()) return;
  const [name, frame] = [layer(), stem()];
  const found = await server.getKeyframe(name, frame);
  if (name !== layer() || frame !== stem()) return;
  current = { layer: name, frame, ...found };
  element("keyframe-state").textContent = found.name ? `Keyframe ${found.name}` : "This frame has no keyframe in this layer.";
  element("remove-keyframe").disabled = !found.name;
  element("download").href = server.downloadAddress(frame);
  element("download").download = `${frame}.png`;
}

async function show() {
  if (state.workspace === "keyframes") await compare(["frames", `keyframes/${layer()}`], "beside");
}

// Runs a request that states the version; a keyframe that changed on disk is shown, and stays.
async function changing(request) {
  try {
    return await request();
  } catch (error) {
    if (error.status !== 409) throw error;
    await load();
    throw new Error("Another program changed this keyframe meanwhile. It is shown now; repeat the step to replace it.");
  }
}

async function store(file) {
  const seen = state.workspace === "keyframes" ? current : null;
  if (!seen) setWorkspace("keyframes");
  const named = file.name.replace(/\.[^.]*$/, "");
  if (named !== stem() && state.clip.frames.includes(named)) {
    const answer = await ask(`${file.name} is named like another frame than ${stem()}, which is shown.`, [
      `Store it for frame ${named}`,
      `Store it for frame ${stem()}`,
      "Cancel",
    ]);
    if (answer === 0) await open(state.clip.frames.indexOf(named));
    else if (answer !== 1) return;
  }
  const [name, frame] = [layer(), stem()];
  const { version } = seen?.layer === name && seen.frame === frame ? seen : await server.getKeyframe(name, frame);
  const stored = await changing(() => server.putKeyframe(name, frame, file, version));
  announce("stored");
  await load();
  const earlier = version === "absent" ? "" : " The earlier one is in trash/.";
  say(`Stored as keyframes/${name}/${stored.name}.${earlier}`, "note");
}

async function remove() {
  const { version } = current;
  const { moved_to: path } = await changing(() => server.deleteKeyframe(layer(), stem(), version));
  announce("stored");
  await load();
  say(`Moved to ${path}.`, "note");
}

async function drop(event) {
  event.preventDefault();
  element("stage").classList.remove("dropping");
  const files = [...event.dataTransfer.files];
  if (files.length !== 1) throw new Error("Drop one painted picture at a time.");
  const thumbnail = event.target.closest(".thumbnail");
  if (thumbnail) await open(Number(thumbnail.dataset.index));
  await store(files[0]);
}

for (const target of [element("stage"), element("strip")]) {
  target.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    element("stage").classList.add("dropping");
  });
  target.addEventListener("dragleave", () => element("stage").classList.remove("dropping"));
  target.addEventListener("drop", (event) => attempt(() => drop(event)));
}
on("painted-file", "change", async () => {
  const [file] = element("painted-file").files;
  element("painted-file").value = ""; // the same file can be chosen again
  if (file) await store(file);
});
on("remove-keyframe", "click", remove);
on("layer", "change", show);
listen("opened", () => update().catch((error) => say(error.message)));
listen("workspace", () => attempt(show));
