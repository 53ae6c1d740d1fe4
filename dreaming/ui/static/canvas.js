// The picture and the tools that paint on it.

import { bindKeys, onSpace } from "./keys.js";
import { Painter } from "./painter.js";
import { announce, element, on } from "./state.js";
import { View } from "./view.js";

export const view = new View(element("canvas"));

export const painter = new Painter(view, {
  onChange: () => announce("painted"),
  onBrush: (diameter) => {
    element("size").value = diameter;
    element("size-text").textContent = `${diameter} px`;
  },
});

function setTool(name) {
  painter.tool = name;
  document.querySelector(`[name=tool][value=${name}]`).checked = true;
}

// Replaces the whole mask that is shown.
export function fill(values) {
  if (!view.mask?.replace(values)) return;
  view.updateMask();
  announce("painted");
}

function step(method) {
  painter.finish();
  if (!view.mask?.[method]()) return;
  view.updateMask();
  announce("painted");
}

const overlay = () => view.setOverlay(element("colour").value, Number(element("opacity").value) / 100);

on("fit", "click", () => view.fit());
on("size", "input", () => painter.setDiameter(Number(element("size").value)));
on("undo", "click", () => step("undo"));
on("redo", "click", () => step("redo"));
on("opacity", "input", overlay);
on("colour", "input", overlay);
for (const input of document.querySelectorAll("[name=tool]")) {
  input.addEventListener("change", () => setTool(input.value));
}
onSpace((held) => painter.setSpace(held));
bindKeys({
  0: () => view.fit(),
  "[": () => painter.setDiameter(Math.min(painter.diameter - 1, painter.diameter / 1.2)),
  "]": () => painter.setDiameter(Math.max(painter.diameter + 1, painter.diameter * 1.2)),
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  l: () => setTool("lasso"),
  "ctrl z": () => step("undo"),
  "ctrl y": () => step("redo"),
  "ctrl shift z": () => step("redo"),
});

painter.setDiameter(24);
overlay();
