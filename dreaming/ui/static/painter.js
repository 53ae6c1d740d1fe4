// Pointer and wheel on the picture: paint, erase, straight lines, zoom and pan.

const LEFT = 0;
const MIDDLE = 1;

export class Painter {
  // `onChange` is called after each stroke that changed the mask, `onBrush` when the brush's size changes.
  constructor(view, { onChange, onBrush }) {
    this.view = view;
    this.onChange = onChange;
    this.onBrush = onBrush;
    this.diameter = 24;
    this.tool = "brush";
    this.last = null; // where the last stroke ended, for straight lines
    this.painting = false;
    this.panning = null;
    this.space = false;
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.finish());
    canvas.addEventListener("pointercancel", () => this.finish());
    canvas.addEventListener("pointerleave", () => this.#moveCursor(null));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#moveCursor(null));
  }

  setDiameter(diameter) {
    this.diameter = Math.min(400, Math.max(1, Math.round(diameter)));
    if (this.view.cursor) this.#moveCursor(this.view.cursor);
    this.onBrush(this.diameter);
  }

  setSpace(held) {
    this.space = held;
    this.view.canvas.classList.toggle("pan", held);
  }

  reset() {
    this.finish();
    this.last = null;
  }

  finish() {
    this.panning = null;
    if (!this.painting) return;
    this.painting = false;
    const { outline } = this.view;
    this.view.outline = [];
    if (outline.length) this.view.updateMask(this.view.mask.polygon(outline, this.value));
    if (this.view.mask.end()) this.onChange();
  }

  #down(event) {
    if (!this.view.mask) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    if (event.button === MIDDLE || (event.button === LEFT && this.space)) {
      this.panning = { x: event.clientX, y: event.clientY };
    } else if (event.button === LEFT) {
      const point = this.view.toFrame(event);
      this.view.mask.begin();
      this.painting = true;
      this.value = this.tool === "eraser" || (this.tool === "lasso" && event.shiftKey) ? 0 : 1;
      if (this.tool === "lasso") this.view.outline = [point];
      else this.#line(event.shiftKey && this.last ? this.last : point, point, event);
    }
  }

  #move(event) {
    if (this.panning) {
      this.view.pan(event.clientX - this.panning.x, event.clientY - this.panning.y);
      this.panning = { x: event.clientX, y: event.clientY };
      return;
    }
    if (this.painting) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const part of events.length ? events : [event]) {
        if (this.tool === "lasso") this.view.outline.push(this.view.toFrame(part));
        else this.#line(this.last, this.view.toFrame(part), part);
      }
    }
    this.#moveCursor(this.view.toFrame(event));
  }

  #wheel(event) {
    event.preventDefault();
    this.view.zoom(event, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
    this.#moveCursor(this.view.toFrame(event));
  }

  // Arrow keys move the brush, Enter paints: for those who use no pointer.
  #key(event) {
    const { frame, mask } = this.view;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!mask || event.ctrlKey || event.metaKey || event.altKey) return;
    const from = this.view.cursor ?? { x: frame.width / 2, y: frame.height / 2 };
    if (event.key in steps) {
      const [dx, dy] = steps[event.key];
      const step = Math.max(1, this.diameter / 4);
      const x = Math.min(frame.width, Math.max(0, from.x + dx * step));
      this.#moveCursor({ x, y: Math.min(frame.height, Math.max(0, from.y + dy * step)) });
    } else if (event.key === "Enter") {
      mask.begin();
      this.value = this.tool === "eraser" ? 0 : 1;
      this.#line(event.shiftKey && this.last ? this.last : from, from);
      if (mask.end()) this.onChange();
    } else {
      return;
    }
    event.preventDefault();
  }

  // A pen's pressure narrows the brush.
  #line(from, to, { pointerType, pressure } = {}) {
    const radius = (this.diameter / 2) * (pointerType === "pen" && pressure > 0 ? pressure : 1);
    this.view.updateMask(this.view.mask.line(from, to, radius, this.value));
    this.last = to;
  }

  #moveCursor(point) {
    this.view.cursor = point && { x: point.x, y: point.y, radius: this.diameter / 2 };
    this.view.draw();
  }
}
