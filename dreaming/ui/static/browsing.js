// Which clip, part and frame is shown, and how to get to another one.

import { painter, view } from "./canvas.js";
import { Frames } from "./frames.js";
import { bindKeys } from "./keys.js";
import { Mask } from "./mask.js";
import { say } from "./message.js";
import { Player } from "./player.js";
import * as server from "./server.js";
import { announce, attempt, element, entries, entry, listen, on, part, state, stem } from "./state.js";
import { Strip, marksOf } from "./strip.js";

export const frames = new Frames();
const strip = new Strip(element("strip"), element("strip-content"), (index) => open(index));
const player = new Player(element("play"), { open: (index) => open(index), position: () => state.index });
const companions = [];
let opening = null;

// `show(stem, signal)` loads what else is shown of a frame, and returns a function that draws it: all at once.
export const accompany = (show) => companions.push(show);

// Reads the clip from disk; what is not saved is kept. The frame that is shown is opened again, unless `quiet` and it
// is still there: a stroke must not end because a job did.
export async function load({ quiet = false } = {}) {
  const before = state.clip?.frames[state.index];
  state.clip = await server.getClip();
  element("clip-name").textContent = state.clip.name;
  document.title = `${state.clip.name} – dreaming`;
  const names = state.clip.parts.map(({ name }) => name);
  if (!names.includes(state.part)) [state.part] = names;
  element("part").replaceChildren(...names.map((name) => new Option(name, name, false, name === state.part)));
  element("scrub").max = Math.max(0, state.clip.frames.length - 1);
  announce("clip");
  showPart();
  if (quiet && before && before === stem()) {
    showPosition();
    return;
  }
  frames.clear();
  if (state.clip.frames.length) await open(Math.min(state.index, state.clip.frames.length - 1));
  else say("The clip has no frames yet.", "note");
}

function showPosition() {
  element("position").textContent = `${stem()} (${state.index + 1} of ${state.clip.frames.length})`;
}

async function showPart() {
  state.empty = new Set();
  announce("part");
  drawStrip();
  const name = state.part;
  const empty = await attempt(() => server.getEmptyMasks(name));
  if (!empty || name !== state.part) return;
  state.empty = new Set(empty);
  drawStrip();
}

export function drawStrip(changedStem = null) {
  strip.setFrames(state.clip.frames, marksOf(state.clip, part(), state.empty, state.cuts), changedStem);
}

export async function open(index) {
  if (index < 0 || index >= state.clip.frames.length) return;
  painter.reset();
  state.index = index;
  opening?.abort();
  opening = new AbortController();
  const { signal } = opening;
  element("scrub").value = index;
  element("scrub").setAttribute("aria-valuetext", `frame ${stem()}`);
  showPosition();
  strip.select(index);
  view.mask = null; // no stroke reaches the mask of another frame
  view.canvas.classList.add("opening");
  announce("opening");
  await attempt(async () => {
    const [name, owner, kept] = [stem(), state.part, entry()];
    const [frame, stored, ...draws] = await Promise.all([
      frames.get(name, signal),
      kept?.dirty ? null : server.getMask(owner, name, signal),
      ...companions.map((show) => show(name, signal)),
    ]);
    signal.throwIfAborted();
    if (stored && stored.version !== kept?.version) {
      const mask = stored.image ? Mask.fromImage(stored.image) : new Mask(frame.width, frame.height);
      entries.set({ part: owner, stem: name, mask, version: stored.version, dirty: false });
    }
    view.show(frame, entries.get(owner, name).mask);
    for (const draw of draws) draw();
    view.canvas.classList.remove("opening");
    announce("opened");
  });
}

// Opens a frame in another part than the one that is shown.
export async function openIn(name, frame) {
  state.part = element("part").value = name;
  showPart();
  await open(state.clip.frames.indexOf(frame));
}

// The next frame with a mask, or with a keyframe where those are shown.
function nextPainted(direction) {
  const painted = new Set(state.workspace === "keyframes" ? Object.values(state.clip.keyframes).flat() : part().masks);
  for (let i = state.index + direction; i >= 0 && i < state.clip.frames.length; i += direction) {
    if (painted.has(state.clip.frames[i])) return open(i);
  }
  return undefined;
}

const play = () => player.toggle(state.clip.frames.length, state.clip.rate);

listen("saved", ({ stem: name }) => drawStrip(name));
on("part", "change", () => openIn(element("part").value, stem()));
on("scrub", "input", () => open(Number(element("scrub").value)));
on("previous-painted", "click", () => nextPainted(-1));
on("next-painted", "click", () => nextPainted(1));
on("play", "click", play);
bindKeys({
  ",": () => open(state.index - 1),
  ".": () => open(state.index + 1),
  PageUp: () => nextPainted(-1),
  PageDown: () => nextPainted(1),
  p: play,
});
