// The live view: a trained style on the frames of a camera or a video file.
// Two frames at a time are painted; those that come meanwhile are dropped.

import { say } from "./message.js";
import { getLiveStyles, openLive } from "./server.js";
import { attempt, background, element, listen, on, state } from "./state.js";

const HEADER = 8; // bytes before the pixels: width and height
const AT_ONCE = 2; // pictures that the server paints at once
const MAX_PIXELS = 2 ** 20;
const WINDOW = 2000; // milliseconds over which the rate is measured
const PAUSE = 500; // milliseconds between two texts with the rate
const REASONS = {
  NotAllowedError: "The browser or the system refuses the camera. Allow it for this address, or choose a video file.",
  NotFoundError: "This computer has no camera. Connect one, or choose a video file.",
  NotReadableError: "The camera does not start; another program may use it. Close that one, or choose a video file.",
};

const video = element("live-source");
const canvas = element("live");
const reader = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
let starts = 0; // how often a source was started or stopped
let view = null; // the connection to the server and what was measured on it
let styles = [];

const layer = () => element("live-layer").value;
const problem = () => styles.find(({ name }) => name === layer())?.problem ?? null;

function showState(text) {
  element("live-state").textContent = text;
  element("stop-live").disabled = !video.srcObject && !video.src;
  const unusable = !styles.length || Boolean(problem());
  for (const id of ["start-camera", "live-file"]) element(id).disabled = unusable;
  element("live-problem").textContent = styles.length ? problem() ?? "" : "The clip has no keyframes yet; the style is trained on them.";
}

async function update() {
  if (state.workspace !== "live") return;
  const before = layer();
  styles = await getLiveStyles();
  element("live-layer").replaceChildren(...styles.map(({ name }) => new Option(name, name, false, name === before)));
  if (!view) showState("");
}

function disconnect() {
  view?.socket.close();
  view = null;
}

// Ends the live view; the camera is off afterwards.
function stop(text = "") {
  starts += 1;
  disconnect();
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
  video.hidden = true;
  element("live-rate").textContent = "";
  showState(text);
}

// Starts the live view of the source that `open` gives to the video; it returns false if it was stopped meanwhile.
async function start(open) {
  stop("Waiting for the source.");
  const number = starts;
  try {
    if ((await open(() => number === starts)) === false) return;
    video.hidden = false;
    await video.play();
  } catch (error) {
    if (number === starts) stop();
    throw error;
  }
  if (number !== starts) return;
  connect();
  video.requestVideoFrameCallback(function note() {
    if (number !== starts) return;
    video.requestVideoFrameCallback(note);
    if (!view) return;
    view.dropped += view.waits ? 1 : 0;
    view.waits = true;
    sendNext();
  });
}

function connect() {
  disconnect();
  const opened = { socket: openLive(layer()), ready: false, waits: false, sent: [], gap: 0, dropped: 0, times: [], told: 0 };
  opened.socket.onmessage = ({ data }) => {
    if (view !== opened) return;
    if (data instanceof ArrayBuffer) show(data);
    else hear(JSON.parse(data));
  };
  opened.socket.onclose = () => {
    if (view === opened) stop("The live view has ended: dreaming-ui does not answer.");
  };
  view = opened;
  showState("Loading the style.");
}

function hear({ state: changed, error, ended }) {
  if (error) {
    stop();
    say(error);
    background(update);
  } else if (ended) {
    stop(`The live view has ended: ${ended}.`);
  } else {
    if (changed === "ready") Object.assign(view, { ready: true, waits: false, dropped: 0 });
    showState(changed === "replaced" ? "The style was trained again, and the new one is shown." : "");
  }
}

function sendNext() {
  if (!view.ready || !view.waits || view.sent.length >= AT_ONCE) return;
  if (performance.now() - (view.sent.at(-1) ?? -Infinity) < view.gap) return;
  const { videoWidth, videoHeight } = video;
  const wanted = Number(element("live-size").value) / Math.min(videoWidth, videoHeight);
  const scale = Math.min(wanted, Math.sqrt(MAX_PIXELS / (videoWidth * videoHeight)));
  const [width, height] = [videoWidth, videoHeight].map((side) => Math.floor(side * scale));
  if (reader.canvas.width !== width || reader.canvas.height !== height) Object.assign(reader.canvas, { width, height });
  reader.drawImage(video, 0, 0, width, height);
  const { data } = reader.getImageData(0, 0, width, height);
  const message = new Uint8Array(HEADER + data.length);
  new Uint32Array(message.buffer, 0, 2).set([width, height]);
  message.set(data, HEADER);
  view.waits = false;
  view.sent.push(performance.now());
  view.socket.send(message);
}

function show(message) {
  const [width, height] = new Uint32Array(message, 0, 2);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(message, HEADER), width, height), 0, 0);
  const now = performance.now();
  view.gap = (0.8 * (now - view.sent.shift())) / AT_ONCE; // pictures sent in pairs would be shown in pairs
  view.times = [...view.times.filter((time, index, { length }) => now - time < WINDOW || index === length - 1), now];
  sendNext();
  if (now - view.told < PAUSE || view.times.length < 2) return;
  view.told = now;
  const rate = ((view.times.length - 1) / (now - view.times[0])) * 1000;
  element("live-rate").textContent = `${rate.toFixed(1)} frames/s at ${width}x${height} pixels, ${view.dropped} frames dropped`;
}

async function openCamera(isWanted) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera does not start: ${error.message}`);
  }
  if (!isWanted()) {
    for (const track of stream.getTracks()) track.stop();
    return false;
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => video.srcObject === stream && stop("The camera is gone."));
  video.srcObject = stream;
  return true;
}

on("start-camera", "click", () => start(openCamera));
on("live-file", "change", async () => {
  const [file] = element("live-file").files;
  if (!file) return;
  element("live-file").value = ""; // so that the same file can be chosen again
  await start(async () => {
    video.src = URL.createObjectURL(file);
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(`This browser cannot play ${file.name}. Convert it to MP4 (H.264) or WebM.`));
    });
    video.onerror = null;
  });
});
on("stop-live", "click", () => stop());
on("live-layer", "change", () => (view && !problem() ? connect() : stop()));
listen("workspace", () => {
  if (state.workspace === "live") attempt(update);
  else stop();
});
listen("job-end", () => background(update));
listen("stored", () => background(update));
