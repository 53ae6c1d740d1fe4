// Keyboard shortcuts of the whole page.

import { attempt, state } from "./state.js";

const IN_TEXT = "input:not([type=range]):not([type=radio]):not([type=checkbox]):not([type=color]), select, textarea";

const keys = {};
const holders = [];

// `added` maps keys, with "ctrl " and "shift " before them where held, to actions, which may need a workspace.
export function bindKeys(added, workspace = null) {
  for (const [key, action] of Object.entries(added)) keys[key] = { action, workspace };
}

// `action(held)` is called when the space bar is pressed or released.
export const onSpace = (action) => holders.push(action);

const space = (held) => holders.forEach((action) => action(held));

addEventListener("keydown", (event) => {
  if (event.target.matches(IN_TEXT) || event.altKey) return;
  // Over the picture, space moves it, whichever button or slider was used last.
  if (event.key === " " && (event.target.matches("body, canvas") || document.querySelector("canvas:hover"))) {
    space(true);
    event.preventDefault();
    return;
  }
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const { action, workspace } = keys[`${control ? "ctrl " : ""}${control && event.shiftKey ? "shift " : ""}${key}`] ?? {};
  if (!action || (workspace && workspace !== state.workspace)) return;
  event.preventDefault();
  attempt(action);
});
addEventListener("keyup", (event) => {
  if (event.key === " ") space(false);
});
addEventListener("blur", () => space(false));
