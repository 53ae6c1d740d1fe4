// Pointer, wheel and keys on the picture: zoom, pan, and the tool that paints.

import { makeTools } from "./tools.js";

const LEFT = 0;
const MIDDLE = 1;

export class Painter {
  // `onChange` is called after each change of the mask, `onBrush` when the brush's size changes, and `onRectangle` with
  // the rectangle in which GrabCut is to find the outline.
  constructor(view, { onChange, onBrush, onRectangle }) {
    this.view = view;
    this.onChange = onChange;
    this.onBrush = onBrush;
    this.onRectangle = onRectangle;
    this.diameter = 24;
    this.tolerance = 255; // levels of each channel by which colours may differ where an area is filled
    this.tools = makeTools(this);
    this.tool = this.tools.brush;
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

  setTool(name) {
    this.reset();
    this.tool = this.tools[name];
    if (this.view.cursor) this.#moveCursor(this.view.cursor);
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

  // Ends what is drawn with the pointer, and gives up what is not closed.
  reset() {
    this.finish();
    this.tool.cancel();
  }

  finish() {
    this.panning = null;
    if (!this.painting) return;
    this.painting = false;
    this.tool.up();
  }

  #down(event) {
    if (!this.view.mask) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    if (event.button === MIDDLE || (event.button === LEFT && this.space)) {
      this.panning = { x: event.clientX, y: event.clientY };
    } else if (event.button === LEFT) {
      this.painting = true;
      this.tool.down(this.view.toFrame(event), event);
    }
  }

  #move(event) {
    if (this.panning) {
      this.view.pan(event.clientX - this.panning.x, event.clientY - this.panning.y);
      this.panning = { x: event.clientX, y: event.clientY };
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    const points = (events.length ? events : [event]).map((part) => ({ point: this.view.toFrame(part), event: part }));
    if (this.painting) this.tool.move(points);
    else if (this.view.mask) this.tool.hover(points.at(-1).point);
    this.#moveCursor(this.view.toFrame(event));
  }

  #wheel(event) {
    this.view.wheel(event);
    this.#moveCursor(this.view.toFrame(event));
  }

  // Arrow keys move the tool, Enter uses it there: for those who use no pointer.
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
      this.view.reveal(this.view.cursor);
      this.tool.hover(this.view.cursor);
    } else if (event.key === "Enter") {
      this.tool.enter({ x: from.x, y: from.y }, event);
    } else if (event.key === "Escape") {
      this.tool.cancel();
    } else if (event.key === "Backspace") {
      this.tool.back();
    } else {
      return;
    }
    event.preventDefault();
  }

  #moveCursor(point) {
    this.view.cursor = point && { x: point.x, y: point.y, radius: this.tool.radius };
    this.view.draw();
  }
}
