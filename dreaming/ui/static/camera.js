// Which part of a picture a canvas shows: zoom, pan and fit; draws at most once for each frame of the screen.

const MAX_SCALE = 40;

export class Camera {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    this.pending = false;
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  // Subclasses return the picture's size, or null, and draw; `area` is where one picture is shown, on the canvas.
  get size() {
    return null;
  }

  get area() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  paint() {}

  // Position in the area, in pixels of the page, of a point of the page.
  #inArea(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.area;
    return { x: (event.clientX - box.left) % width, y: (event.clientY - box.top) % height };
  }

  // Position in the picture, in its pixels, of a point of the page.
  toFrame(event) {
    const { x, y } = this.#inArea(event);
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  zoom(event, factor) {
    this.#zoomAt(this.#inArea(event), factor);
  }

  // For those who use no wheel.
  zoomCentre(factor) {
    this.#zoomAt({ x: this.area.width / 2, y: this.area.height / 2 }, factor);
  }

  #zoomAt({ x, y }, factor) {
    if (!this.size || !this.canvas.clientWidth) return;
    const scale = Math.min(MAX_SCALE, Math.max(this.#fittingScale() / 2, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(event, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.draw();
  }

  // Moves a point of the picture into sight.
  reveal({ x, y }) {
    const outside = (position, length) => Math.min(0, position) + Math.max(0, position - length);
    const dx = outside(x * this.scale + this.x, this.area.width);
    const dy = outside(y * this.scale + this.y, this.area.height);
    if (dx || dy) this.pan(-dx, -dy);
  }

  // Also of a canvas that is hidden: it is fitted when it is shown.
  fit() {
    this.fitted = true;
    if (!this.size || !this.canvas.clientWidth) return;
    this.scale = this.#fittingScale();
    this.x = (this.area.width - this.size.width * this.scale) / 2;
    this.y = (this.area.height - this.size.height * this.scale) / 2;
    this.draw();
  }

  #fittingScale() {
    return Math.min(this.area.width / this.size.width, this.area.height / this.size.height);
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
      this.context.setTransform(1, 0, 0, 1, 0, 0);
      this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      if (this.size) this.paint(this.context);
    });
  }

  // Lets the context draw in pixels of the picture, in the area whose corner is at (left, top).
  place(left = 0, top = 0) {
    const { context, scale } = this;
    const ratio = devicePixelRatio;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, (left + this.x) * ratio, (top + this.y) * ratio);
    context.imageSmoothingEnabled = scale < 2;
  }
}
