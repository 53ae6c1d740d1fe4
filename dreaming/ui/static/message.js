// The message over the picture.

// Shows a text, or nothing if it is empty; `kind` is "note" for what is no error.
export function say(text, kind = "") {
  const message = document.getElementById("message");
  message.textContent = text;
  message.className = kind;
  message.hidden = !text;
}
