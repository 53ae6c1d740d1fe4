// Draws the frame and the mask over it; zooms and pans.

const MAX_SCALE = 40;

const NONE = [0, 0, 0, 0];
const BLACK = [0, 0, 0, 255];
const GREY = [128, 128, 128, 255];
const WHITE = [255, 255, 255, 255];

// Draws a rectangle of a mask into a canvas of its size, in two colours with opacity.
function paint(canvas, mask, { left, top, width, height }, on, off) {
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

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.frame = null;
    this.overlay = null;
    this.mask = null;
    this.cursor = null;
    this.outline = []; // of what is not closed yet
    this.mode = "overlay"; // or "matte", or "cutout"
    this.onion = null; // the mask of another frame, as a picture
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    this.colour = [255, 59, 107, 255];
    this.opacity = 0.5;
    this.pending = false;
    new ResizeObserver(() => this.#resize()).observe(canvas);
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
    this.onion = mask && new OffscreenCanvas(mask.width, mask.height);
    const opposite = this.colour.map((level, index) => (index < 3 ? 255 - level : level));
    if (mask) paint(this.onion, mask, { left: 0, top: 0, width: mask.width, height: mask.height }, opposite, NONE);
    this.draw();
  }

  // Draws the mask again, where it changed.
  updateMask(area = null) {
    if (!this.mask) return;
    const whole = { left: 0, top: 0, width: this.mask.width, height: this.mask.height };
    const [on, off] = { overlay: [this.colour, NONE], matte: [WHITE, BLACK], cutout: [NONE, GREY] }[this.mode];
    paint(this.overlay, this.mask, area ?? whole, on, off);
    this.draw();
  }

  // Position in the frame, in pixels, of a point of the page.
  toFrame(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left - this.x) / this.scale, y: (event.clientY - box.top - this.y) / this.scale };
  }

  zoom(event, factor) {
    const box = this.canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const scale = Math.min(MAX_SCALE, Math.max(this.#fittingScale() / 2, this.scale * factor));
    this.x = px - ((px - this.x) * scale) / this.scale;
    this.y = py - ((py - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.draw();
  }

  fit() {
    if (!this.frame) return;
    this.scale = this.#fittingScale();
    this.x = (this.canvas.clientWidth - this.frame.width * this.scale) / 2;
    this.y = (this.canvas.clientHeight - this.frame.height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  #fittingScale() {
    return Math.min(this.canvas.clientWidth / this.frame.width, this.canvas.clientHeight / this.frame.height);
  }

  #resize() {
    this.canvas.width = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    if (this.fitted) this.fit();
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.#paint();
    });
  }

  #paint() {
    const { context, canvas, scale } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.frame) return;
    const ratio = devicePixelRatio;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, this.x * ratio, this.y * ratio);
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(this.frame, 0, 0);
    context.globalAlpha = this.mode === "overlay" ? this.opacity : 1;
    context.drawImage(this.overlay, 0, 0);
    context.globalAlpha = 0.5;
    if (this.onion) context.drawImage(this.onion, 0, 0);
    context.globalAlpha = 1;
    if (this.cursor || this.outline.length) this.#paintCursor();
  }

  // Twice, so that one colour contrasts with whatever is below.
  #paintCursor() {
    for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
      this.context.beginPath();
      if (this.outline.length) this.outline.forEach(({ x, y }) => this.context.lineTo(x, y));
      else this.context.arc(this.cursor.x, this.cursor.y, this.cursor.radius, 0, 2 * Math.PI);
      this.context.strokeStyle = colour;
      this.context.lineWidth = width / this.scale;
      this.context.stroke();
    }
  }
}
