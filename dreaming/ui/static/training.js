// What a job has made so far: the learning curve, predictions of probe frames, stylised frames, the preview.

import { openIn } from "./browsing.js";
import { getProgress, resultAddress } from "./server.js";
import { attempt, background, element, listen, state } from "./state.js";

const EVERY = 1000; // milliseconds between two requests
const COLOURS = ["--accent", "--keyframe", "--mask"];
let asked = -EVERY;

function line(context, points, width, height) {
  const [xs, ys] = [0, 1].map((index) => points.map((point) => point[index]));
  const scale = (values, value, size) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return high > low ? 4 + ((value - low) / (high - low)) * (size - 8) : size / 2;
  };
  context.beginPath();
  for (const [x, y] of points) context.lineTo(scale(xs, x, width), height - scale(ys, y, height));
  context.stroke();
}

function showCurve(curve) {
  element("curve-row").hidden = !curve;
  if (!curve) return;
  const canvas = element("curve");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio });
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  context.lineWidth = 1.5;
  const legend = Object.entries(curve.curves).map(([name, points], index) => {
    const colour = getComputedStyle(document.body).getPropertyValue(COLOURS[index % COLOURS.length]);
    context.strokeStyle = colour;
    line(context, points, width, height);
    const [step, value] = points.at(-1);
    const text = document.createElement("span");
    text.className = `curve-${index % COLOURS.length}`;
    text.textContent = `${name} ${value} at step ${step}`;
    return text;
  });
  element("curve-title").textContent = `Training of ${curve.title}`;
  element("curve-legend").replaceChildren(...legend);
}

function picture(id, address, shown) {
  const image = element(id);
  image.hidden = !shown;
  if (shown && image.dataset.address !== address) image.src = image.dataset.address = address;
}

async function show() {
  const { styled, training, preview } = await getProgress();
  picture("training-sheet", `api/training.png?${training}`, training);
  picture("preview", `api/preview.mp4?${preview}`, preview);
  const made = styled.filter(({ newest }) => newest !== null);
  element("styled").replaceChildren(
    ...made.map(({ layer, count, newest }) => {
      const button = document.createElement("button");
      const image = document.createElement("img");
      image.src = `${resultAddress("results")}/styled/${encodeURIComponent(layer)}/${encodeURIComponent(newest)}`;
      image.alt = `Stylised frame ${newest}`;
      button.append(image, `${layer}: ${count} of ${state.clip.frames.length} frames, last ${newest}`);
      button.title = "Open this frame";
      button.addEventListener("click", () => attempt(() => openIn(state.part, newest)));
      return button;
    }),
  );
}

listen("job", ({ curve, status }) => {
  showCurve(curve);
  const now = performance.now();
  if (status === "running" && now - asked < EVERY) return;
  asked = now;
  background(show);
});
