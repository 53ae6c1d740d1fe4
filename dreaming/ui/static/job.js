// The panel that starts, follows and stops jobs.

import { followJob, startJob, stopJob } from "./server.js";

const WORDS = {
  none: () => "No job has run.",
  running: (job) => `Running: ${job.name}`,
  stopping: (job) => `Stopping: ${job.name} saves its state. Stop again to end it at once.`,
  done: (job) => `Finished: ${job.name}`,
  stopped: (job) => `Stopped: ${job.name}. Start it again to resume.`,
  failed: (job) => `Failed: ${job.name}. The log names the reason.`,
};

const element = (id) => document.getElementById(id);

export class JobPanel {
  // `onEnd` is called when a job that this page saw running ends, `onError` with errors of requests.
  constructor({ onEnd, onError, prepare }) {
    this.onEnd = onEnd;
    this.active = false;
    const attempt = async (request) => {
      try {
        await request();
      } catch (error) {
        onError(error);
      }
    };
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () =>
        attempt(async () => {
          if (await prepare()) await startJob(button.dataset.action);
        }),
      );
    }
    element("stop").addEventListener("click", () => attempt(stopJob));
    element("copy").addEventListener("click", () => this.#copy());
    followJob((state) => this.show(state), (connected) => this.#connected(connected));
  }

  show(state) {
    const active = ["running", "stopping"].includes(state.status);
    const { progress } = state;
    const step = progress?.step ? `, step ${progress.step} of ${progress.steps}` : "";
    const detail = progress
      ? `${step}: ${progress.title} ${progress.done}/${progress.total}, ${progress.left} left${progress.note ? `, ${progress.note}` : ""}`
      : "";
    element("job-state").textContent = WORDS[state.status](state) + detail;
    const bar = element("job-progress");
    bar.hidden = !active;
    if (progress) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else {
      bar.removeAttribute("value");
    }
    for (const button of document.querySelectorAll("[data-action]")) button.disabled = active;
    element("stop").disabled = !active;
    element("command-row").hidden = !state.command;
    element("command").value = state.command ?? "";
    this.#showLog(state.log);
    if (this.active && !active) this.onEnd(state);
    this.active = active;
  }

  #showLog(lines) {
    const log = element("log");
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.textContent = lines.join("\n");
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  async #copy() {
    const field = element("command");
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select(); // the user copies it with the keyboard
    }
  }

  #connected(connected) {
    if (!connected) element("job-state").textContent = "No connection to dreaming-ui; trying again.";
  }
}
