// The tools that change a mask. The painter passes on pointer and keys; positions are in pixels of the frame.

const CLOSE = 8; // pixels of the page within which a point closes a polygon

class Tool {
  constructor(painter) {
    this.painter = painter;
    this.view = painter.view;
  }

  // Of the circle at the pointer.
  get radius() {
    return 0;
  }

  down() {}
  move() {} // with the pointer down
  up() {}
  hover() {} // with the pointer up, or by arrow keys
  cancel() {}

  // The same by the keyboard.
  enter(point, event) {
    this.down(point, event);
    this.up();
  }

  // Takes back a part of an unfinished change; false if there is none.
  back() {
    return false;
  }

  // Sets pixels by a method of the mask, as one step of undo.
  change(method, ...values) {
    const { mask } = this.view;
    mask.begin();
    this.view.updateMask(mask[method](...values));
    if (mask.end()) this.painter.onChange();
  }

  outline(points) {
    this.view.outline = points;
    this.view.draw();
  }
}

class Brush extends Tool {
  last = null; // where the last stroke ended, for straight lines

  constructor(painter, value) {
    super(painter);
    this.value = value;
  }

  get radius() {
    return this.painter.diameter / 2;
  }

  down(point, event) {
    this.view.mask.begin();
    this.#line(event.shiftKey && this.last ? this.last : point, point, event);
  }

  move(points) {
    for (const { point, event } of points) this.#line(this.last, point, event);
  }

  up() {
    if (this.view.mask?.end()) this.painter.onChange();
  }

  cancel() {
    this.last = null;
  }

  // A pen's pressure narrows the brush.
  #line(from, to, { pointerType, pressure }) {
    const radius = (this.painter.diameter / 2) * (pointerType === "pen" && pressure > 0 ? pressure : 1);
    this.view.updateMask(this.view.mask.line(from, to, radius, this.value));
    this.last = to;
  }
}

class Lasso extends Tool {
  down(point, { shiftKey }) {
    this.value = shiftKey ? 0 : 1;
    this.outline([point]);
  }

  move(points) {
    this.view.outline.push(...points.map(({ point }) => point));
  }

  up() {
    const { outline } = this.view;
    this.cancel();
    if (outline.length > 2) this.change("polygon", outline, this.value);
  }

  cancel() {
    this.outline([]);
  }

  enter() {} // the polygon is there for the keyboard
}

class Polygon extends Tool {
  points = [];

  // A point at the first or last one closes the polygon, as a double click does.
  down(point, { shiftKey }) {
    const near = (other) => other && Math.hypot(other.x - point.x, other.y - point.y) * this.view.scale < CLOSE;
    const { points } = this;
    if (points.length > 2 && (near(points[0]) || near(points.at(-1)))) {
      this.cancel();
      this.change("polygon", points, shiftKey ? 0 : 1);
    } else if (!near(points.at(-1))) {
      points.push(point);
      this.outline([...points]);
    }
  }

  hover(point) {
    if (this.points.length) this.outline([...this.points, point]);
  }

  back() {
    if (!this.points.length) return false;
    this.points.pop();
    this.outline([...this.points]);
    return true;
  }

  cancel() {
    this.points = [];
    this.outline([]);
  }
}

class Fill extends Tool {
  down(point, { shiftKey }) {
    const { frame, mask } = this.view;
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) return;
    this.change("flood", x, y, shiftKey ? 0 : 1, this.painter.tolerance, frame);
  }
}

class Rectangle extends Tool {
  corner = null;

  down(point) {
    this.corner = point;
  }

  move(points) {
    this.hover(points.at(-1).point);
  }

  hover(point) {
    if (!this.corner) return;
    const { x, y } = this.corner;
    this.other = point;
    this.outline([this.corner, { x: point.x, y }, point, { x, y: point.y }, this.corner]);
  }

  up() {
    const { corner, other } = this;
    this.cancel();
    if (!corner || !other) return;
    const { width, height } = this.view.mask;
    const clamp = (value, end) => Math.min(end, Math.max(0, Math.round(value)));
    const [left, right] = [corner.x, other.x].map((x) => clamp(x, width)).sort((a, b) => a - b);
    const [top, bottom] = [corner.y, other.y].map((y) => clamp(y, height)).sort((a, b) => a - b);
    if (right > left && bottom > top) this.painter.onRectangle({ left, top, width: right - left, height: bottom - top });
  }

  enter(point) {
    if (this.corner) this.up();
    else this.down(point);
  }

  cancel() {
    this.corner = this.other = null;
    this.outline([]);
  }
}

export const makeTools = (painter) => ({
  brush: new Brush(painter, 1),
  eraser: new Brush(painter, 0),
  lasso: new Lasso(painter),
  polygon: new Polygon(painter),
  fill: new Fill(painter),
  grabcut: new Rectangle(painter),
});
