// Parts of the clip are added and renamed.

import { load } from "./browsing.js";
import { saveAll } from "./saving.js";
import { addPart, renamePart } from "./server.js";
import { announce, attempt, element, on, state } from "./state.js";

const dialog = element("part-dialog");
let renames = false;

function openDialog(renamed) {
  renames = renamed;
  element("part-dialog-title").textContent = renames ? `Rename the part ${state.part}` : "Add a part";
  element("part-name").value = renames ? state.part : "";
  element("part-problem").textContent = "";
  dialog.showModal();
  element("part-name").select();
}

async function apply() {
  const name = element("part-name").value.trim();
  try {
    await saveAll(); // the folders of masks that are not saved change their names
    await (renames ? renamePart(state.part, name) : addPart(name));
  } catch (error) {
    element("part-problem").textContent = error.message;
    return;
  }
  dialog.close();
  announce("stored");
  state.part = name;
  await load();
}

on("add-part", "click", () => openDialog(false));
on("rename-part", "click", () => openDialog(true));
on("part-cancel", "click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(apply);
});
