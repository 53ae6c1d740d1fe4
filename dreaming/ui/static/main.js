// The page: which frame is shown, which mask belongs to it, and what the buttons and keys do.

import { Entries } from "./entries.js";
import { Frames } from "./frames.js";
import { JobPanel } from "./job.js";
import { bindKeys } from "./keys.js";
import { Mask } from "./mask.js";
import { say } from "./message.js";
import { Painter } from "./painter.js";
import { Player } from "./player.js";
import * as server from "./server.js";
import { Strip, marksOf } from "./strip.js";
import { Tabs } from "./tabs.js";
import { View } from "./view.js";

const element = (id) => document.getElementById(id);

const entries = new Entries();
const frames = new Frames();
const state = { clip: null, part: null, empty: new Set(), index: 0, opening: null };

const view = new View(element("canvas"));
const painter = new Painter(view, {
  onChange: () => changed(),
  onBrush: (diameter) => {
    element("size").value = diameter;
    element("size-text").textContent = `${diameter} px`;
  },
});
const strip = new Strip(element("strip"), element("strip-content"), (index) => open(index));

const player = new Player(element("play"), { open: (index) => open(index), position: () => state.index });
const play = () => player.toggle(state.clip.frames.length, state.clip.rate);

const stem = () => state.clip.frames[state.index];
const part = () => state.clip.parts.find(({ name }) => name === state.part);
const entry = () => entries.get(state.part, stem());

// Runs what a button or key asks for; an error is shown instead of thrown.
async function attempt(action) {
  try {
    say("");
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (error.status === 409 && error.version) showConflict(error.version);
    else say(error.message);
    return undefined;
  }
}

async function load() {
  state.clip = await server.getClip();
  frames.clear();
  element("clip-name").textContent = state.clip.name;
  document.title = `${state.clip.name} – dreaming`;
  const names = state.clip.parts.map(({ name }) => name);
  if (!names.includes(state.part)) [state.part] = names;
  element("part").replaceChildren(...names.map((name) => new Option(name, name, false, name === state.part)));
  element("scrub").max = Math.max(0, state.clip.frames.length - 1);
  showPart();
  if (state.clip.frames.length) await open(Math.min(state.index, state.clip.frames.length - 1));
  else say("The clip has no frames yet.", "note");
}

async function showPart() {
  const { maskers } = part();
  element("prediction").hidden = !maskers.length;
  element("masker").replaceChildren(...maskers.map((name) => new Option(name)));
  if (maskers.includes("ensemble")) element("masker").value = "ensemble";
  state.empty = new Set();
  drawStrip();
  const name = state.part;
  const empty = await attempt(() => server.getEmptyMasks(name));
  if (!empty || name !== state.part) return;
  state.empty = new Set(empty);
  drawStrip();
}

function drawStrip(changedStem = null) {
  strip.setFrames(state.clip.frames, marksOf(state.clip, part(), state.empty), changedStem);
}

async function open(index) {
  if (index < 0 || index >= state.clip.frames.length) return;
  painter.reset();
  state.index = index;
  state.opening?.abort();
  state.opening = new AbortController();
  const { signal } = state.opening;
  element("conflict").hidden = true;
  element("scrub").value = index;
  element("scrub").setAttribute("aria-valuetext", `frame ${stem()}`);
  element("position").textContent = `${stem()} (${index + 1} of ${state.clip.frames.length})`;
  strip.select(index);
  view.mask = null; // no stroke reaches the mask of another frame
  view.canvas.classList.add("opening");
  element("mask-state").textContent = "Opening the frame";
  await attempt(async () => {
    const [name, owner, kept] = [stem(), state.part, entry()];
    const [frame, stored] = await Promise.all([
      frames.get(name, signal),
      kept?.dirty ? null : server.getMask(owner, name, signal),
    ]);
    signal.throwIfAborted();
    if (stored && stored.version !== kept?.version) {
      const mask = stored.image ? Mask.fromImage(stored.image) : new Mask(frame.width, frame.height);
      entries.set({ part: owner, stem: name, mask, version: stored.version, dirty: false });
    }
    view.show(frame, entries.get(owner, name).mask);
    view.canvas.classList.remove("opening");
    showMaskState();
  });
}

function changed() {
  entries.mark(entry(), true);
  showMaskState();
}

function showMaskState() {
  const { mask, version, dirty } = entry();
  const saved = version === "absent" ? "No mask" : mask.empty ? "Saved: not in this frame" : "Saved";
  element("mask-state").textContent = dirty ? "Not saved" : saved;
  element("undo").disabled = !mask.done.length;
  element("redo").disabled = !mask.undone.length;
  element("remove").disabled = version === "absent";
}

function step(method) {
  painter.finish();
  if (!view.mask?.[method]()) return;
  view.updateMask();
  changed();
}

// Saves the mask of a frame, by default of the one that is shown.
async function save(current = view.mask && entry()) {
  painter.finish();
  if (!current) return;
  const values = current.mask.values.slice();
  const { version, empty } = await server.putMask(current.part, current.stem, await current.mask.toPng(), current.version);
  current.version = version;
  entries.mark(current, current.mask.values.some((value, index) => value !== values[index]));
  const owner = state.clip.parts.find(({ name }) => name === current.part);
  if (owner && !owner.masks.includes(current.stem)) owner.masks.push(current.stem);
  state.tabs.announce(current.part, current.stem);
  if (current.part === state.part) state.empty[empty ? "add" : "delete"](current.stem);
  drawStrip(current.stem);
  if (view.mask === current.mask) showMaskState();
}

// Saves all masks, because a job reads the files; one that cannot be saved is shown, and the error thrown.
async function saveAll() {
  painter.finish();
  for (const current of entries.dirty) {
    try {
      await save(current);
    } catch (error) {
      state.part = element("part").value = current.part;
      await open(state.clip.frames.indexOf(current.stem));
      throw error;
    }
  }
}

function fill(values) {
  if (!view.mask?.replace(values)) return;
  view.updateMask();
  changed();
}

async function startFromPrediction() {
  const mask = view.mask;
  const image = await server.getPrediction(state.part, element("masker").value, stem());
  if (view.mask === mask) fill(Mask.fromImage(image).values);
}

async function markAbsent() {
  if (!view.mask) return;
  fill(new Uint8Array(view.mask.values.length));
  await save();
}

async function remove() {
  if (!view.mask) return;
  const [name, owner, { version }] = [stem(), part(), entry()];
  await server.deleteMask(owner.name, name, version);
  state.tabs.announce(owner.name, name);
  entries.delete(owner.name, name);
  owner.masks = owner.masks.filter((other) => other !== name);
  state.empty.delete(name);
  drawStrip();
  await open(state.index);
}

function showConflict(version) {
  entry().latest = version;
  element("conflict").hidden = false;
  element("keep-mine").focus();
}

function nextPainted(direction) {
  const painted = new Set(part().masks);
  for (let i = state.index + direction; i >= 0 && i < state.clip.frames.length; i += direction) {
    if (painted.has(state.clip.frames[i])) return open(i);
  }
  return undefined;
}

function setTool(name) {
  painter.tool = name;
  document.querySelector(`[name=tool][value=${name}]`).checked = true;
}

const on = (id, type, action) => element(id).addEventListener(type, () => attempt(action));

on("part", "change", async () => {
  state.part = element("part").value;
  showPart();
  await open(state.index);
});
on("scrub", "input", () => open(Number(element("scrub").value)));
on("previous-painted", "click", () => nextPainted(-1));
on("next-painted", "click", () => nextPainted(1));
on("play", "click", play);
on("fit", "click", () => view.fit());
on("size", "input", () => painter.setDiameter(Number(element("size").value)));
on("undo", "click", () => step("undo"));
on("redo", "click", () => step("redo"));
on("save", "click", () => save());
on("absent", "click", markAbsent);
on("remove", "click", remove);
on("start-from-prediction", "click", startFromPrediction);
on("keep-mine", "click", async () => {
  element("conflict").hidden = true;
  entry().version = entry().latest;
  await save();
});
on("take-theirs", "click", async () => {
  entries.delete(state.part, stem());
  await open(state.index);
});
for (const input of document.querySelectorAll("[name=tool]")) {
  input.addEventListener("change", () => setTool(input.value));
}
const overlay = () => view.setOverlay(element("colour").value, Number(element("opacity").value) / 100);
on("opacity", "input", overlay);
on("colour", "input", overlay);

const run = (action) => () => void attempt(action);
bindKeys({
  ",": run(() => open(state.index - 1)),
  ".": run(() => open(state.index + 1)),
  PageUp: run(() => nextPainted(-1)),
  PageDown: run(() => nextPainted(1)),
  0: () => view.fit(),
  "[": () => painter.setDiameter(Math.min(painter.diameter - 1, painter.diameter / 1.2)),
  "]": () => painter.setDiameter(Math.max(painter.diameter + 1, painter.diameter * 1.2)),
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  l: () => setTool("lasso"),
  p: run(play),
  "ctrl z": () => step("undo"),
  "ctrl y": () => step("redo"),
  "ctrl shift z": () => step("redo"),
  "ctrl s": run(() => save()),
}, (held) => painter.setSpace(held));

window.addEventListener("beforeunload", (event) => {
  if (entries.dirty.length && !entries.database) event.preventDefault();
});

new JobPanel({
  onEnd: () => attempt(load),
  onError: (error) => say(error.message),
  prepare: () => attempt(async () => (await saveAll(), true)),
});

painter.setDiameter(24);
overlay();
await attempt(async () => {
  await load();
  state.tabs = new Tabs(state.clip.path, {
    onOther: () => say("This clip is also open in another tab.", "note"),
    onSaved: () => attempt(load), // which keeps what is not saved here
  });
  if (!(await entries.restore(state.clip))) return;
  const [first] = entries.dirty;
  state.part = element("part").value = first.part;
  showPart();
  await open(state.clip.frames.indexOf(first.stem));
  say(`Restored masks that were not saved: ${entries.dirty.map(({ stem: name }) => name).join(", ")}`, "note");
});
