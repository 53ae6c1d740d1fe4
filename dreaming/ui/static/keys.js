// Keyboard shortcuts of the whole page.

const IN_TEXT = "input:not([type=range]):not([type=radio]):not([type=color]), select, textarea";

// `keys` maps a key, with "ctrl " and "shift " before it where held, to an action; `onSpace` learns when space is held.
export function bindKeys(keys, onSpace) {
  addEventListener("keydown", (event) => {
    if (event.target.matches(IN_TEXT) || event.altKey) return;
    // Over the picture, space moves it, whichever button or slider was used last.
    if (event.key === " " && (event.target.matches("body, canvas") || document.querySelector("canvas:hover"))) {
      onSpace(true);
      event.preventDefault();
      return;
    }
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = keys[`${control ? "ctrl " : ""}${control && event.shiftKey ? "shift " : ""}${key}`];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("keyup", (event) => {
    if (event.key === " ") onSpace(false);
  });
  addEventListener("blur", () => onSpace(false));
}
