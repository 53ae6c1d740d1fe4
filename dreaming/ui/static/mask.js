// A mask in memory: one byte per pixel, 0 or 1; strokes, undo and redo.

const STEPS = 50;

function pixelsOf(image) {
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

export class Mask {
  constructor(width, height, values = new Uint8Array(width * height)) {
    this.width = width;
    this.height = height;
    this.values = values;
    this.undone = [];
    this.done = [];
    this.stroke = null;
  }

  static fromImage(image) {
    const { width, height } = image;
    const pixels = pixelsOf(image);
    return new Mask(width, height, Uint8Array.from({ length: width * height }, (_, i) => (pixels[4 * i] > 127 ? 1 : 0)));
  }

  get empty() {
    return !this.values.includes(1);
  }

  begin() {
    this.stroke = this.values.slice();
  }

  // Ends a change and remembers only the rows that it touched.
  end() {
    const before = this.stroke;
    this.stroke = null;
    if (!before) return false;
    let first = 0;
    let last = before.length - 1;
    while (first <= last && before[first] === this.values[first]) first++;
    while (last >= first && before[last] === this.values[last]) last--;
    if (first > last) return false;
    this.done.push({ first, values: before.slice(first, last + 1) });
    if (this.done.length > STEPS) this.done.shift();
    this.undone.length = 0;
    return true;
  }

  undo() {
    return this.#swap(this.done, this.undone);
  }

  redo() {
    return this.#swap(this.undone, this.done);
  }

  #swap(from, to) {
    const step = from.pop();
    if (!step) return false;
    const end = step.first + step.values.length;
    to.push({ first: step.first, values: this.values.slice(step.first, end) });
    this.values.set(step.values, step.first);
    return true;
  }

  replace(values) {
    this.begin();
    this.values.set(values);
    return this.end();
  }

  // Sets all pixels whose centre is within `radius` of the segment from a to b; returns the rectangle that it changed.
  line(a, b, radius, value) {
    const left = Math.max(0, Math.floor(Math.min(a.x, b.x) - radius));
    const top = Math.max(0, Math.floor(Math.min(a.y, b.y) - radius));
    const right = Math.min(this.width, Math.ceil(Math.max(a.x, b.x) + radius) + 1);
    const bottom = Math.min(this.height, Math.ceil(Math.max(a.y, b.y) + radius) + 1);
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = dx * dx + dy * dy;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
        const t = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= radius * radius) this.values[y * this.width + x] = value;
      }
    }
    return { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
  }

  // Sets all pixels whose centre is inside the polygon, by the even-odd rule; returns the rectangle that it changed.
  polygon(points, value) {
    const rows = points.map(({ y }) => y);
    const top = Math.max(0, Math.floor(Math.min(...rows)));
    const bottom = Math.min(this.height, Math.ceil(Math.max(...rows)));
    for (let row = top; row < bottom; row++) {
      const y = row + 0.5;
      const crossings = points
        .map((a, index) => [a, points[(index + 1) % points.length]])
        .filter(([a, b]) => a.y <= y !== b.y <= y)
        .map(([a, b]) => a.x + ((y - a.y) * (b.x - a.x)) / (b.y - a.y))
        .sort((one, other) => one - other);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = Math.max(0, Math.ceil(crossings[i] - 0.5));
        const to = Math.min(this.width, Math.floor(crossings[i + 1] - 0.5) + 1);
        if (to > from) this.values.fill(value, row * this.width + from, row * this.width + to);
      }
    }
    return { left: 0, top, width: this.width, height: Math.max(0, bottom - top) };
  }

  // Sets the pixels around (x, y) that have the same value as it, and, in the frame, its colour up to `tolerance` levels
  // in each channel; returns the rectangle that it changed.
  flood(x, y, value, tolerance, frame) {
    const { width, height, values } = this;
    const pixels = tolerance < 255 ? pixelsOf(frame) : null;
    const origin = y * width + x;
    const fits = (i) => {
      if (values[i] === value) return false;
      if (!pixels) return true;
      for (let c = 0; c < 3; c++) if (Math.abs(pixels[4 * i + c] - pixels[4 * origin + c]) > tolerance) return false;
      return true;
    };
    let [top, bottom] = [y, y];
    const waiting = fits(origin) ? [origin] : [];
    while (waiting.length) {
      const start = waiting.pop();
      if (!fits(start)) continue;
      const row = Math.floor(start / width);
      let left = start;
      let right = start + 1;
      while (left > row * width && fits(left - 1)) left--;
      while (right < (row + 1) * width && fits(right)) right++;
      values.fill(value, left, right);
      [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
      for (const shift of [...(row > 0 ? [-width] : []), ...(row < height - 1 ? [width] : [])]) {
        for (let i = left + shift, inside = false; i < right + shift; i++) {
          const next = fits(i);
          if (next && !inside) waiting.push(i);
          inside = next;
        }
      }
    }
    return { left: 0, top, width, height: bottom - top + 1 };
  }

  // Copies another mask to a rectangle; returns the rectangle.
  paste(other, area) {
    for (let row = 0; row < area.height; row++) {
      const from = row * other.width;
      this.values.set(other.values.subarray(from, from + area.width), (area.top + row) * this.width + area.left);
    }
    return area;
  }

  // The values of a rectangle as a mask of their own.
  crop({ left, top, width, height }) {
    const result = new Mask(width, height);
    for (let row = 0; row < height; row++) {
      const from = (top + row) * this.width + left;
      result.values.set(this.values.subarray(from, from + width), row * width);
    }
    return result;
  }

  // Lengths of the runs of background, foreground, background, ..., row by row.
  toRuns() {
    const { values } = this;
    const runs = [];
    for (let start = 0, value = 1; start < values.length; value = 1 - value) {
      const next = values.indexOf(value, start);
      const end = next < 0 ? values.length : next;
      runs.push(end - start);
      start = end;
    }
    return new Uint32Array(runs); // all processors that run browsers are little-endian
  }

  async toPng() {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = canvas.getContext("2d");
    const image = context.createImageData(this.width, this.height);
    const pixels = new Uint32Array(image.data.buffer);
    const [black, white] = [new Uint32Array(new Uint8Array([0, 0, 0, 255]).buffer)[0], 0xffffffff];
    for (let i = 0; i < pixels.length; i++) pixels[i] = this.values[i] ? white : black;
    context.putImageData(image, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }
}
