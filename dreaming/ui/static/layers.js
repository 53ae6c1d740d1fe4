// The list of layers, and its way into clip.yaml.

import { load } from "./browsing.js";
import { offerLayers } from "./keyframes.js";
import { button } from "./list_button.js";
import { say } from "./message.js";
import { getLayers, putLayers } from "./server.js";
import { announce, attempt, element, listen, on, state } from "./state.js";

let layers = []; // bottom to top, as in clip.yaml
let version = null;
let changed = false;

const WHOLE = ""; // the value of "whole frame" in the list of parts

function edit(action, focused = null) {
  action();
  changed = true;
  draw();
  if (focused) document.querySelector(`#layers [aria-label="${CSS.escape(focused)}"]`)?.focus();
}

function swap(index, other) {
  [layers[index], layers[other]] = [layers[other], layers[index]];
}

function rowOf(layer, index) {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { className: "list-name", textContent: layer.name, title: layer.name });
  const parts = document.createElement("select");
  parts.setAttribute("aria-label", `Part of ${layer.name}`);
  const known = state.clip.parts.map((part) => part.name);
  const all = layer.part && !known.includes(layer.part) ? [...known, layer.part] : known;
  parts.append(new Option("whole frame", WHOLE), ...all.map((part) => new Option(part)));
  parts.value = layer.part ?? WHOLE;
  parts.addEventListener("change", () =>
    edit(() => Object.assign(layer, { part: parts.value || null, invert: parts.value ? layer.invert : false })),
  );
  const invert = Object.assign(document.createElement("input"), { type: "checkbox", checked: layer.invert, disabled: !layer.part });
  invert.addEventListener("change", () => edit(() => (layer.invert = invert.checked)));
  const label = document.createElement("label");
  label.append(invert, " invert");
  label.title = "Everything except the part";
  const [up, down] = [`Move ${layer.name} up`, `Move ${layer.name} down`];
  item.append(
    name,
    button("↑", up, index === layers.length - 1, () => edit(() => swap(index, index + 1), up)),
    button("↓", down, index === 0, () => edit(() => swap(index, index - 1), down)),
    button("×", `Remove ${layer.name} from the list`, false, () => edit(() => layers.splice(index, 1))),
    parts,
    label,
  );
  return item;
}

function draw() {
  element("layers").replaceChildren(...layers.map(rowOf).reverse());
  element("save-layers").disabled = element("reload-layers").disabled = !changed;
  offerLayers(layers.map(({ name, keyframes }) => keyframes ?? name));
}

function show(state_) {
  ({ layers, version } = state_);
  changed = false;
  element("layers-problem").textContent = state_.problem ?? "";
  element("layers-source").textContent = state_.listed
    ? "As listed in clip.yaml."
    : "Derived from the folders; saving lists them in clip.yaml.";
  draw();
}

async function update() {
  if (changed) draw();
  else show(await getLayers());
}

function add() {
  const name = element("new-layer").value.trim();
  if (!name) return;
  if (layers.some((layer) => layer.name === name)) throw new Error(`There is a layer ${name} already.`);
  element("new-layer").value = "";
  edit(() => layers.push({ name, part: null, invert: false, keyframes: null }));
}

async function save() {
  try {
    show(await putLayers(layers, version));
    announce("stored");
    say("Saved to clip.yaml.", "note");
  } catch (error) {
    if (error.status !== 409) throw error;
    show(await getLayers());
    throw new Error("Another program changed clip.yaml meanwhile. Its layers are shown now; repeat your changes.");
  }
}

listen("clip", () => attempt(update));
on("add-layer", "click", add);
element("new-layer").addEventListener("keydown", (event) => {
  if (event.key === "Enter") attempt(add);
});
on("save-layers", "click", save);
on("reload-layers", "click", async () => {
  changed = false;
  await load();
});
