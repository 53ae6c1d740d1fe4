// The clean-up of a part's masks: a list of steps, their effect on the frame that is shown, and their way into clip.yaml.

import { frames, load } from "./browsing.js";
import { comparison } from "./comparison.js";
import { button } from "./list_button.js";
import { say } from "./message.js";
import { getCleaned, getCleanup, putCleanup } from "./server.js";
import { announce, attempt, background, element, listen, on, part, state, stem } from "./state.js";

const PIXELS = { unit: "pixels", max: 200 };
const SHARE = { unit: "% of the frame", max: 100, factor: 100 };
const KINDS = {
  grow: { text: "Grow", start: [2], ...PIXELS },
  shrink: { text: "Shrink", start: [2], ...PIXELS },
  fill_holes: { text: "Fill holes", start: [0.01], ...SHARE },
  remove_small: { text: "Despeckle", start: [0.001], ...SHARE },
  smooth: { text: "Smooth", start: [2], ...PIXELS },
  feather: { text: "Feather", start: [2], ...PIXELS },
  feather_in: { text: "Feather in", start: [4], ...PIXELS },
  feather_out: { text: "Feather out", start: [4], ...PIXELS },
  clamp: { text: "Clamp", start: [0.1, 0.9], unit: "", max: 1 },
};

const edits = new Map(); // by part: steps as in clip.yaml, the file's version, and whether they are changed here
let asked = new AbortController();

const setting = (key) => document.querySelector(`[data-key="${key}"]`).value;
const edit = () => edits.get(state.part);
const draftOf = (owner) => `cleanup ${owner} ${state.clip.path}`;

// Steps that are not saved survive a reload of the page.
function mark(owner, changed) {
  edits.get(owner).changed = changed;
  if (changed) sessionStorage.setItem(draftOf(owner), JSON.stringify(edits.get(owner)));
  else sessionStorage.removeItem(draftOf(owner));
}

function change(action, focused = null) {
  action(edit().steps);
  mark(state.part, true);
  draw();
  if (focused) document.querySelector(`#steps [aria-label="${CSS.escape(focused)}"]`)?.focus();
  background(show);
}

function fieldsOf(step, name, label) {
  const { factor = 1, max } = KINDS[name];
  const values = [step[name]].flat();
  return values.map((value, index) => {
    const shown = Number((value * factor).toPrecision(6));
    const field = Object.assign(document.createElement("input"), { type: "number", min: 0, max, step: "any", value: shown });
    field.setAttribute("aria-label", values.length > 1 ? `${label}, ${index ? "high" : "low"}` : label);
    field.addEventListener("input", () => {
      if (!field.value || !field.checkValidity()) return;
      values[index] = Number(field.value) / factor;
      step[name] = values.length > 1 ? values : values[0];
      mark(state.part, true);
      drawButtons();
      background(show);
    });
    return field;
  });
}

function rowOf(step, index, { length }) {
  const [name] = Object.keys(step);
  const label = `${KINDS[name].text}, step ${index + 1}`;
  const [up, down] = [`Move up: ${label}`, `Move down: ${label}`];
  const moved = (by) => `Move ${by < 0 ? "up" : "down"}: ${KINDS[name].text}, step ${index + by + 1}`;
  const move = (by) => change((steps) => ([steps[index], steps[index + by]] = [steps[index + by], steps[index]]), moved(by));
  const item = document.createElement("li");
  const title = Object.assign(document.createElement("span"), { className: "list-name", textContent: KINDS[name].text, title: name });
  const values = document.createElement("p");
  values.append(...fieldsOf(step, name, label), KINDS[name].unit);
  item.append(
    title,
    button("↑", up, index === 0, () => move(-1)),
    button("↓", down, index === length - 1, () => move(1)),
    button("×", `Remove: ${label}`, false, () => change((steps) => steps.splice(index, 1))),
    values,
  );
  return item;
}

function draw() {
  const steps = edit()?.steps ?? [];
  element("steps").replaceChildren(...steps.map(rowOf));
  element("no-steps").hidden = steps.length > 0;
  drawButtons();
}

function drawButtons() {
  element("save-cleanup").disabled = element("reload-cleanup").disabled = !edit()?.changed;
}

function offerMaskers() {
  const { maskers } = part();
  const before = element("cleanup-masker").value;
  element("cleanup-masker").replaceChildren(...maskers.map((name) => new Option(name)));
  element("cleanup-masker").value = maskers.includes(before) ? before : maskers.includes("ensemble") ? "ensemble" : maskers.at(-1) ?? "";
}

// Reads the part's steps, unless they are changed here.
async function update() {
  if (state.workspace !== "cleanup") return;
  const owner = state.part;
  offerMaskers();
  const draft = sessionStorage.getItem(draftOf(owner));
  if (draft && !edit()) edits.set(owner, JSON.parse(draft));
  if (!edit()?.changed) edits.set(owner, { ...(await getCleanup(owner)), changed: false });
  if (owner !== state.part) return;
  draw();
  await show();
}

// The frame where the mask is opaque, or the mask itself.
function pictureOf(frame, mask) {
  if (element("cleanup-picture").value === "matte") return mask;
  const canvas = new OffscreenCanvas(frame.width, frame.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  const opacity = context.getImageData(0, 0, frame.width, frame.height).data;
  context.drawImage(frame, 0, 0);
  const pixels = context.getImageData(0, 0, frame.width, frame.height);
  for (let i = 3; i < opacity.length; i += 4) pixels.data[i] = opacity[i - 1];
  context.putImageData(pixels, 0, 0);
  return canvas;
}

async function show() {
  if (state.workspace !== "cleanup" || !stem() || !edit()) return;
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const [masker, name] = [element("cleanup-masker").value, stem()];
  const feather = Number(setting("stage.composite.feather") || 2);
  const { steps } = edit();
  const load = (matte) =>
    Promise.all([[], steps].map((some) => masker && getCleaned(state.part, masker, name, { steps: some, feather, matte }, signal)));
  const frame = await frames.get(name, signal);
  const wanted = setting("matte") !== "none";
  let matte = wanted;
  let [before, after] = await load(matte);
  if (!after && matte) [before, after] = await load((matte = false));
  if (signal.aborted) return;
  const pictures = [{ label: "Before", mask: before }, { label: "After", mask: after }];
  const images = after ? pictures.map(({ label, mask }) => ({ label, image: pictureOf(frame, mask) })) : [{ label: "Source", image: frame }];
  const layout = after ? element("cleanup-layout").value : "beside";
  element("border").hidden = layout !== "wipe";
  comparison.show(images, layout);
  element("comparison").setAttribute("aria-label", `Frame ${name}, before and after the clean-up`);
  const source = matte ? "As in the composite." : `The mask with a feather of ${feather} pixels.`;
  const later = matte === wanted ? "" : " The composite uses a matte, which a run of the style makes.";
  element("cleanup-state").textContent = after
    ? `${source}${later} Everything applies saved steps to dream.mp4.`
    : "There is no predicted mask of this frame yet; Masks makes it.";
}

async function save() {
  const { steps, version } = edit();
  const owner = state.part;
  try {
    edits.set(owner, await putCleanup(owner, steps, version));
    mark(owner, false);
  } catch (error) {
    if (error.status !== 409) throw error;
    edits.get(owner).version = (await getCleanup(owner)).version;
    throw new Error("Another program changed clip.yaml meanwhile. Save again to replace this part's steps in it.");
  }
  announce("stored");
  draw();
  say("Saved to clip.yaml.", "note");
}

element("add-step").append(new Option("choose", ""), ...Object.entries(KINDS).map(([name, { text }]) => new Option(text, name)));
element("add-step").addEventListener("change", () => {
  const name = element("add-step").value;
  element("add-step").value = "";
  if (!name || !edit()) return;
  const { start } = KINDS[name];
  change((steps) => steps.push({ [name]: start.length > 1 ? [...start] : start[0] }));
});
on("save-cleanup", "click", save);
on("reload-cleanup", "click", async () => {
  mark(state.part, false);
  await load();
});
for (const id of ["cleanup-masker", "cleanup-layout", "cleanup-picture"]) on(id, "change", show);
listen("workspace", () => attempt(update));
listen("part", () => background(update));
listen("opened", () => background(show));
listen("job-end", () => background(update));
