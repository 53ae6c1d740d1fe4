// The frame and the mask over it.

import { Camera } from "./camera.js";

const NONE = [0, 0, 0, 0];
const BLACK = [0, 0, 0, 255];
const GREY = [128, 128, 128, 255];
const WHITE = [255, 255, 255, 255];

// Draws a rectangle of a mask into a canvas of its size, in two colours with opacity.
function paintMask(canvas, mask, { left, top, width, height }, on, off) {
  if (!width || !height) return;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [clear, set] = [off, on].map((colour) => new Uint32Array(new Uint8Array(colour).buffer)[0]);
  for (let row = 0; row < height; row++) {
    const start = (top + row) * mask.width + left;
    for (let i = 0; i < width; i++) pixels[row * width + i] = mask.values[start + i] ? set : clear;
  }
  context.putImageData(image, left, top);
}

export class View extends Camera {
  frame = null;
  overlay = null;
  mask = null;
  cursor = null;
  outline = []; // of what is not closed yet
  prediction = null; // of a masker, as a picture
  onion = null; // the mask of another frame, as a picture
  mode = "overlay"; // or "matte", or "cutout"
  colour = [255, 59, 107, 255];
  opacity = 0.5;

  get size() {
    return this.frame;
  }

  show(frame, mask) {
    const size = (image) => image && `${image.width}x${image.height}`;
    const same = size(this.frame) === size(frame);
    this.frame = frame;
    this.mask = mask;
    if (!same || !this.overlay) this.overlay = new OffscreenCanvas(frame.width, frame.height);
    this.updateMask();
    if (!same || this.fitted) this.fit();
  }

  setOverlay(mode, colour, opacity) {
    this.mode = mode;
    this.colour = [...[1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)), 255];
    this.opacity = opacity;
    this.updateMask();
  }

  // Shows the mask of another frame in the opposite colour; none for null.
  setOnion(mask) {
    if (!mask && !this.onion) return;
    this.onion = mask && new OffscreenCanvas(mask.width, mask.height);
    const opposite = this.colour.map((level, index) => (index < 3 ? 255 - level : level));
    if (mask) paintMask(this.onion, mask, { left: 0, top: 0, width: mask.width, height: mask.height }, opposite, NONE);
    this.draw();
  }

  // Shows probabilities, a grey picture, in a colour over the mask; none for null.
  setPrediction(image, colour = []) {
    this.prediction = image && new OffscreenCanvas(image.width, image.height);
    if (image) {
      const context = this.prediction.getContext("2d");
      context.drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, image.width, image.height);
      const { data } = pixels;
      for (let i = 0; i < data.length; i += 4) {
        data[i + 3] = data[i];
        [data[i], data[i + 1], data[i + 2]] = colour;
      }
      context.putImageData(pixels, 0, 0);
    }
    this.draw();
  }

  // Draws the mask again, where it changed.
  updateMask(area = null) {
    if (!this.mask) return;
    const whole = { left: 0, top: 0, width: this.mask.width, height: this.mask.height };
    const [on, off] = { overlay: [this.colour, NONE], matte: [WHITE, BLACK], cutout: [NONE, GREY] }[this.mode];
    paintMask(this.overlay, this.mask, area ?? whole, on, off);
    this.draw();
  }

  paint(context) {
    this.place();
    context.drawImage(this.frame, 0, 0);
    context.globalAlpha = this.mode === "overlay" ? this.opacity : 1;
    context.drawImage(this.overlay, 0, 0);
    context.globalAlpha = 0.5;
    if (this.onion) context.drawImage(this.onion, 0, 0);
    if (this.prediction) context.drawImage(this.prediction, 0, 0);
    context.globalAlpha = 1;
    if (this.cursor || this.outline.length) this.#paintCursor();
  }

  // Twice, so that one colour contrasts with whatever is below.
  #paintCursor() {
    for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
      this.context.beginPath();
      if (this.outline.length) this.outline.forEach(({ x, y }) => this.context.lineTo(x, y));
      else this.context.arc(this.cursor.x, this.cursor.y, Math.max(this.cursor.radius, 3 / this.scale), 0, 2 * Math.PI);
      this.context.strokeStyle = colour;
      this.context.lineWidth = width / this.scale;
      this.context.stroke();
    }
  }
}
