// The picture and the tools that paint on it.

import { bindKeys, onSpace } from "./keys.js";
import { Mask } from "./mask.js";
import { say } from "./message.js";
import { Painter } from "./painter.js";
import * as server from "./server.js";
import { announce, attempt, element, on, stem } from "./state.js";
import { View } from "./view.js";

export const view = new View(element("canvas"));

export const painter = new Painter(view, {
  onChange: () => announce("painted"),
  onBrush: (diameter) => {
    element("size").value = diameter;
    element("size-text").textContent = `${diameter} px`;
  },
  onRectangle: (area) => attempt(() => findOutline(area)),
});

const VIEWS = ["overlay", "matte", "cutout"];

function setTool(name) {
  painter.setTool(name);
  document.querySelector(`[name=tool][value=${name}]`).checked = true;
  element("tolerance-row").hidden = name !== "fill";
}

// Finds the outline inside a rectangle; what is painted there stays.
async function findOutline(area) {
  const { mask } = view;
  say("Looking for the outline in the rectangle.", "note");
  const image = await server.getOutline(stem(), area, await mask.crop(area).toPng());
  say("");
  if (view.mask !== mask) return;
  painter.finish();
  mask.begin();
  view.updateMask(mask.paste(Mask.fromImage(image), area));
  if (mask.end()) announce("painted");
}

// Replaces the whole mask that is shown.
export function fill(values) {
  if (!view.mask?.replace(values)) return;
  view.updateMask();
  announce("painted");
}

function step(method) {
  painter.finish();
  if (method === "undo" && painter.tool.back()) return;
  if (!view.mask?.[method]()) return;
  view.updateMask();
  announce("painted");
}

// "fit" and "zoom" are for all pictures, shown or hidden.
function fit() {
  view.fit();
  announce("fit");
}

function zoom(factor) {
  view.zoomCentre(factor);
  announce("zoom", factor);
}

const overlay = () =>
  view.setOverlay(element("view").value, element("colour").value, Number(element("opacity").value) / 100);

function nextView() {
  element("view").value = VIEWS[(VIEWS.indexOf(element("view").value) + 1) % VIEWS.length];
  overlay();
}

on("fit", "click", fit);
on("size", "input", () => painter.setDiameter(Number(element("size").value)));
on("undo", "click", () => step("undo"));
on("redo", "click", () => step("redo"));
on("opacity", "input", overlay);
on("colour", "input", overlay);
on("view", "change", overlay);
on("tolerance", "input", () => {
  painter.tolerance = Number(element("tolerance").value);
});
for (const input of document.querySelectorAll("[name=tool]")) {
  input.addEventListener("change", () => setTool(input.value));
}
onSpace((held) => painter.setSpace(held));
bindKeys({ 0: fit, "+": () => zoom(1.25), "-": () => zoom(0.8) });
bindKeys({
  "[": () => painter.setDiameter(Math.min(painter.diameter - 1, painter.diameter / 1.2)),
  "]": () => painter.setDiameter(Math.max(painter.diameter + 1, painter.diameter * 1.2)),
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  l: () => setTool("lasso"),
  g: () => setTool("polygon"),
  f: () => setTool("fill"),
  c: () => setTool("grabcut"),
  v: nextView,
  "ctrl z": () => step("undo"),
  "ctrl y": () => step("redo"),
  "ctrl shift z": () => step("redo"),
}, "masks");

painter.setDiameter(24);
overlay();
