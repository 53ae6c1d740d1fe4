// Keyboard shortcuts of the whole page.

import { attempt } from "./state.js";

const IN_TEXT = "input:not([type=range]):not([type=radio]):not([type=checkbox]):not([type=color]), select, textarea";

const keys = {};
const holders = [];

// `added` maps keys, with "ctrl " and "shift " before them where held, to actions.
export const bindKeys = (added) => Object.assign(keys, added);

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
  const action = keys[`${control ? "ctrl " : ""}${control && event.shiftKey ? "shift " : ""}${key}`];
  if (!action) return;
  event.preventDefault();
  attempt(action);
});
addEventListener("keyup", (event) => {
  if (event.key === " ") space(false);
});
addEventListener("blur", () => space(false));
