// The panel that starts, follows, stops and resumes jobs.

import { load } from "./browsing.js";
import { say } from "./message.js";
import { saveAll } from "./saving.js";
import { followJob, resumeJob, startJob, stopJob } from "./server.js";
import { jobOptions, quickMasker } from "./settings.js";
import { announce, attempt, background, element, on, state } from "./state.js";

const WORDS = {
  none: () => "No job has run.",
  running: (job) => `Running: ${job.name}`,
  stopping: (job) => `Stopping: ${job.name} saves its state. Stop again to end it at once.`,
  done: (job) => `Finished: ${job.name}`,
  stopped: (job) => `Stopped: ${job.name}. Resume continues it.`,
  failed: (job) => `Failed: ${job.name}. ${job.code === null ? "The process was killed; resume continues it." : job.log.at(-1) ?? ""}`,
};
const ACTIVE = ["running", "stopping"];

const EVERY = 2000; // milliseconds between two looks at the frames of a video
let looked = -EVERY;
let last = { status: "none" };

// Whether a job, or the job of this name, is running.
export const isActive = (name = last.name) => ACTIVE.includes(last.status) && last.name === name;


const position = () => `stage.mask.near=${state.index + 1}`;

// The frames whose thumbnails are in sight, counted from 1.
function framesInSight() {
  const strip = element("strip").getBoundingClientRect();
  const inside = [...document.querySelectorAll(".thumbnail")].filter((item) => {
    const { left, right } = item.getBoundingClientRect();
    return left >= strip.left - 1 && right <= strip.right + 1;
  });
  const numbers = inside.map(({ dataset }) => Number(dataset.index) + 1);
  return [`stage.preview.start=${Math.min(...numbers)}`, `stage.preview.end=${Math.max(...numbers)}`];
}

const OPTIONS = {
  masks: () => jobOptions({ more: [position()] }),
  correct: () => jobOptions({ masker: quickMasker(), more: [position()] }),
  suggest: () => jobOptions({ masker: quickMasker() }),
  preview: () => jobOptions({ more: framesInSight() }),
};

// Starts a job; masks that are not saved are saved before.
export async function run(action) {
  await saveAll();
  await startJob(action, (OPTIONS[action] ?? jobOptions)());
}

function describe(job) {
  const { progress } = job;
  if (!progress) return "";
  const step = progress.step ? `, step ${progress.step} of ${progress.steps}` : "";
  const note = progress.note ? `, ${progress.note}` : "";
  return `${step}: ${progress.title} ${progress.done}/${progress.total}, ${progress.left} left${note}`;
}

function show(job) {
  const [wasActive, isFirst] = [isActive(), last.status === "none"];
  last = job;
  const active = isActive();
  element("job-state").textContent = WORDS[job.status](job) + describe(job);
  element("job-state").classList.toggle("failed", job.status === "failed");
  const bar = element("job-progress");
  bar.hidden = !active;
  if (job.progress) {
    bar.max = job.progress.total;
    bar.value = job.progress.done;
  } else {
    bar.removeAttribute("value");
  }
  for (const button of document.querySelectorAll("[data-action]")) button.disabled = active;
  element("stop").disabled = !active;
  element("resume").hidden = !["stopped", "failed"].includes(job.status);
  element("command-row").hidden = !job.command;
  element("command").value = job.command ?? "";
  showLog(job.log);
  // A short job, such as the extraction of a short video, may end before the page is connected.
  if (!active && (wasActive || (isFirst && !state.clip.frames.length))) {
    background(async () => {
      await load({ quiet: true });
      if (job.status === "failed") say(job.log.at(-1) ?? "The process was killed.");
      announce("job-end", job);
    });
  }
  if (job.name === "extract" && active) showFirstFrames();
  announce("job", job);
}

// Frames of a video can be seen and painted on while the others are extracted.
function showFirstFrames() {
  const now = performance.now();
  if (now - looked < EVERY) return;
  looked = now;
  background(() => load({ quiet: state.clip.frames.length > 0 }));
}

function showLog(lines) {
  const log = element("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  log.textContent = lines.join("\n");
  if (atEnd) log.scrollTop = log.scrollHeight;
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", () => attempt(() => run(button.dataset.action)));
}
on("stop", "click", stopJob);
on("resume", "click", resumeJob);
on("copy", "click", async () => {
  const field = element("command");
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    field.select(); // the user copies it with the keyboard
  }
});

// Called once the clip is read.
export const follow = () =>
  followJob(show, (connected) => {
    if (!connected) element("job-state").textContent = "No connection to dreaming-ui; trying again.";
  });
