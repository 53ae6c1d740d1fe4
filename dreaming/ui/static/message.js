// The message and the question over the picture.

// Shows a text, or nothing if it is empty; `kind` is "note" for what is no error.
export function say(text, kind = "") {
  const message = document.getElementById("message");
  message.textContent = text;
  message.className = kind;
  message.hidden = !text;
}

// Asks a question and returns the index of the answer that was chosen.
export function ask(question, answers) {
  const box = document.getElementById("question");
  document.getElementById("question-text").textContent = question;
  return new Promise((resolve) => {
    const buttons = answers.map((answer, index) => {
      const button = Object.assign(document.createElement("button"), { textContent: answer });
      button.addEventListener("click", () => {
        box.hidden = true;
        resolve(index);
      });
      return button;
    });
    document.getElementById("answers").replaceChildren(...buttons);
    box.hidden = false;
    buttons[0].focus();
  });
}
