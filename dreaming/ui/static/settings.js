// The settings of a job: each one that is set is an override, as are those that are typed.

import { checkJob } from "./server.js";
import { background, element, listen, state } from "./state.js";

const PAUSE = 600; // milliseconds without typing before overrides are checked
let waiting = null;
let checking = new AbortController();

const fields = () => [...document.querySelectorAll("[data-key]")];
const guides = () => [...document.querySelectorAll("[name=guide]")];
const key = () => `settings ${state.clip.path}`;

function guideOverride() {
  const boxes = guides();
  if (boxes.every((box) => box.checked === box.defaultChecked)) return [];
  return [`guides=[${boxes.filter(({ checked }) => checked).map(({ value }) => value)}]`];
}

// What the server needs to start a job. `masker` replaces the masker that is set, `more` are further overrides.
export function jobOptions({ masker = null, more = [] } = {}) {
  const values = fields().filter(({ value, dataset, disabled }) => value && !disabled && !(masker && dataset.key === "masker"));
  const scaled = ({ value, dataset }) => (dataset.factor ? Math.round(value * dataset.factor) : value);
  const overrides = values.map((field) => `${field.dataset.key}=${scaled(field)}`);
  return {
    overrides: [...(masker ? [`masker=${masker}`] : []), ...overrides, ...guideOverride(), ...more],
    typed: element("overrides").value,
  };
}

// The maskers that correct masks: the one that is set, or those that take seconds.
export const quickMasker = () => {
  const set = document.querySelector("[data-key=masker]").value;
  return set && set !== "[ensemble]" ? set : "[flow,pixels]";
};

function store() {
  const values = Object.fromEntries(fields().map(({ value, dataset }) => [dataset.key, value]));
  const chosen = guides().filter(({ checked }) => checked).map(({ value }) => value);
  localStorage.setItem(key(), JSON.stringify({ values, guides: chosen, overrides: element("overrides").value }));
}

function restore() {
  const stored = JSON.parse(localStorage.getItem(key()) ?? "null");
  if (!stored) return;
  for (const field of fields()) field.value = stored.values[field.dataset.key] ?? "";
  for (const box of guides()) box.checked = stored.guides.includes(box.value);
  element("overrides").value = stored.overrides;
  showFeather();
}

// Checks all settings as a run would, and shows what is wrong below the field.
async function check() {
  checking.abort();
  checking = new AbortController();
  const { signal } = checking;
  const options = jobOptions();
  const needed = options.overrides.length || options.typed.trim();
  element("overrides-problem").textContent = needed ? "Checking." : "";
  const problem = needed ? await checkJob(options, signal) : null;
  if (signal.aborted) return;
  element("overrides").setAttribute("aria-invalid", String(Boolean(problem)));
  element("overrides-problem").textContent = problem ?? "";
}

// The feather changes nothing where mattes cut the layers out.
function showFeather() {
  const value = (key) => document.querySelector(`[data-key="${key}"]`);
  value("stage.composite.feather").disabled = value("matte").value !== "none";
}

function checkSoon() {
  showFeather();
  clearTimeout(waiting);
  waiting = setTimeout(() => background(check), PAUSE);
}

element("settings").addEventListener("change", store);
element("settings").addEventListener("input", checkSoon);
showFeather();
let restored = false;
listen("clip", () => {
  if (!restored) restore();
  restored = true;
});
