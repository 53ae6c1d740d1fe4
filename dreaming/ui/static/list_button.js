// A small button in an entry of a list.

export function button(text, label, disabled, action) {
  const result = Object.assign(document.createElement("button"), { textContent: text, title: label, disabled });
  result.setAttribute("aria-label", label);
  result.addEventListener("click", action);
  return result;
}
