// What all modules of the page share: the clip, the frame and part that are shown, and events between modules.

import { Entries } from "./entries.js";
import { say } from "./message.js";

export const state = { clip: null, part: null, empty: new Set(), cuts: null, index: 0, workspace: "masks" };
export const entries = new Entries();

export const element = (id) => document.getElementById(id);

export const stem = () => state.clip.frames[state.index];
export const part = () => state.clip.parts.find(({ name }) => name === state.part);
export const entry = () => entries.get(state.part, stem());

// Events: "clip" was read from disk, "part" was chosen; a frame is "opening", is "opened"; its mask was "painted" on;
// a mask was "saved" or removed (part, stem), or is in "conflict" with the disk (version).
// The state of the "job" changed, the "job-end" was seen.
// Keyframes, layers or parts were "stored". A "workspace" was opened; pictures are to "fit" into the window, or to "zoom" (factor).
const events = new EventTarget();
export const announce = (name, detail) => events.dispatchEvent(new CustomEvent(name, { detail }));
export const listen = (name, action) => events.addEventListener(name, ({ detail }) => action(detail));

// Runs what a button or key asks for; an error is shown instead of thrown.
export async function attempt(action) {
  try {
    say("");
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (error.status === 409 && error.version) announce("conflict", error.version);
    else say(error.message);
    return undefined;
  }
}

// Runs what nobody has asked for just now; the message that is shown stays, unless there is an error.
export async function background(action) {
  try {
    await action();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  }
}

export const on = (id, type, action) => element(id).addEventListener(type, () => attempt(action));
