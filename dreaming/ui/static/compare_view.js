// Pictures of one frame, beside each other or with a movable border between two of them.

import { Camera } from "./camera.js";

const GRAB = 12; // pixels of the page around the border within which the pointer moves it
const STEP = 40; // pixels of the page by which an arrow key moves the pictures

export class CompareView extends Camera {
  pictures = []; // { label, image }; an image is null where the frame has none
  layout = "beside"; // or "wipe"
  border = 0.5; // of "wipe", as a share of the width

  // `onBorder` is called when the pointer moved the border.
  constructor(canvas, onBorder) {
    super(canvas);
    let dragged = null;
    const steps = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    canvas.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      this.pan(...steps[event.key]);
    });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      const near = Math.abs(event.offsetX - this.border * canvas.clientWidth) < GRAB;
      dragged = { border: this.layout === "wipe" && near, x: event.clientX, y: event.clientY };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (dragged?.border) onBorder(Math.min(1, Math.max(0, event.offsetX / canvas.clientWidth)));
      else if (dragged) this.pan(event.clientX - dragged.x, event.clientY - dragged.y);
      if (dragged) dragged = { ...dragged, x: event.clientX, y: event.clientY };
    });
    for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => (dragged = null));
  }

  get size() {
    return this.pictures.find(({ image }) => image)?.image ?? null;
  }

  // As many columns as make the pictures largest.
  get #columns() {
    const count = this.layout === "wipe" ? 1 : this.pictures.length;
    const { width, height } = this.size ?? { width: 1, height: 1 };
    const { clientWidth, clientHeight } = this.canvas;
    const scale = (columns) => Math.min(clientWidth / columns / width, clientHeight / Math.ceil(count / columns) / height);
    return Array.from({ length: count }, (_, i) => i + 1).reduce((a, b) => (scale(b) > scale(a) ? b : a), 1);
  }

  get area() {
    const columns = this.#columns;
    const rows = this.layout === "wipe" ? 1 : Math.max(1, Math.ceil(this.pictures.length / columns));
    return { width: this.canvas.clientWidth / columns, height: this.canvas.clientHeight / rows };
  }

  show(pictures, layout) {
    const before = JSON.stringify([this.area, this.size?.width, this.size?.height]);
    Object.assign(this, { pictures, layout });
    if (this.fitted || before !== JSON.stringify([this.area, this.size?.width, this.size?.height])) this.fit();
    this.draw();
  }

  setBorder(share) {
    this.border = share;
    this.draw();
  }

  paint() {
    const { width, height } = this.area;
    const columns = this.#columns;
    const edge = this.border * width;
    this.pictures.forEach((picture, index) => {
      if (this.layout !== "wipe") {
        const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
        this.#paintPicture(picture, { left, top, width, height }, left, top);
      } else if (index < 2) {
        const [left, right] = index ? [edge, width] : [0, edge];
        this.#paintPicture(picture, { left, top: 0, width: right - left, height }, 0, 0);
      }
    });
    if (this.layout === "wipe") this.#paintBorder(edge, height);
  }

  #paintPicture({ image, label }, clip, left, top) {
    const { context } = this;
    context.save();
    this.#usePage();
    context.beginPath();
    context.rect(clip.left, clip.top, clip.width, clip.height);
    context.clip();
    this.place(left, top);
    if (image) context.drawImage(image, 0, 0, this.size.width, this.size.height);
    this.#usePage();
    const text = image ? label : `${label} (none of this frame)`;
    context.font = "13px system-ui, sans-serif";
    const length = context.measureText(text).width;
    // On the outer side, so that a border in the middle hides neither of two labels.
    const start = this.layout === "wipe" && clip.left ? clip.left + clip.width - length - 14 : clip.left + 6;
    context.fillStyle = "#000c";
    context.fillRect(start, clip.top + 6, length + 8, 20);
    context.fillStyle = "#fff";
    context.fillText(text, start + 4, clip.top + 20);
    context.restore();
  }

  #paintBorder(edge, height) {
    this.#usePage();
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      this.context.fillStyle = colour;
      this.context.fillRect(edge - width / 2, 0, width, height);
    }
  }

  // Lets the context draw in pixels of the page.
  #usePage() {
    this.context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  }
}
