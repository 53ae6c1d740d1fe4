// What the page is used for at the moment: masks, clean-up, keyframes, results or live view.

import { announce, state } from "./state.js";

const buttons = [...document.querySelectorAll("[data-opens]")];

export function setWorkspace(name) {
  state.workspace = name;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.opens === name));
  for (const section of document.querySelectorAll("[data-workspace]")) {
    section.hidden = !section.dataset.workspace.split(" ").includes(name);
  }
  announce("workspace");
}

for (const button of buttons) button.addEventListener("click", () => setWorkspace(button.dataset.opens));
