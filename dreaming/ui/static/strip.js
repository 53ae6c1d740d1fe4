// The strip of thumbnails: only those in sight exist as elements, so that 10,000 frames scroll smoothly.

import { thumbnailAddress } from "./server.js";

const WIDTH = 104;
const AT_ONCE = 2; // thumbnails that load
const MARGIN = 4; // thumbnails beyond each edge

// A function that returns the names of a frame's markers.
export function marksOf(clip, part, empty, cuts) {
  const masks = new Set(part.masks);
  const suggestions = new Set(part.suggestions);
  const keyframes = new Set(Object.values(clip.keyframes).flat());
  return (stem) => [
    ...(cuts?.has(stem) ? ["cut"] : []),
    ...(masks.has(stem) ? [empty.has(stem) ? "empty" : "mask"] : []),
    ...(keyframes.has(stem) ? ["keyframe"] : []),
    ...(suggestions.has(stem) ? ["suggestion"] : []),
  ];
}

export class Strip {
  constructor(element, content, onSelect) {
    this.element = element;
    this.content = content;
    this.stems = [];
    this.marks = () => [];
    this.selected = 0;
    this.shown = new Map();
    this.waiting = [];
    this.loading = 0;
    element.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(element);
    content.addEventListener("click", (event) => {
      const item = event.target.closest(".thumbnail");
      if (item) onSelect(Number(item.dataset.index));
    });
  }

  // `marks(stem)` returns the names of a frame's markers; `changed` is the only frame that is drawn again, if given.
  setFrames(stems, marks, changed = null) {
    this.stems = stems;
    this.marks = marks;
    this.content.style.width = `${stems.length * WIDTH}px`;
    for (const [index, item] of this.shown) {
      if (changed !== null && stems[index] !== changed) continue;
      item.remove();
      this.shown.delete(index);
    }
    this.draw();
  }

  select(index) {
    this.selected = index;
    const left = index * WIDTH;
    const { scrollLeft, clientWidth } = this.element;
    if (left < scrollLeft || left + WIDTH > scrollLeft + clientWidth) {
      this.element.scrollLeft = left - (clientWidth - WIDTH) / 2;
    }
    this.draw();
  }

  draw() {
    const { scrollLeft, clientWidth } = this.element;
    const first = Math.max(0, Math.floor(scrollLeft / WIDTH) - MARGIN);
    const last = Math.min(this.stems.length, Math.ceil((scrollLeft + clientWidth) / WIDTH) + MARGIN);
    for (const [index, item] of this.shown) {
      if (index >= first && index < last) continue;
      item.remove();
      this.shown.delete(index);
    }
    for (let index = first; index < last; index++) {
      if (!this.shown.has(index)) this.shown.set(index, this.#add(index));
      this.shown.get(index).setAttribute("aria-selected", String(index === this.selected));
    }
    this.#load();
    const selected = this.shown.get(this.selected);
    if (selected) this.element.setAttribute("aria-activedescendant", selected.id);
  }

  // Loads a few at a time: browsers open six connections, and the frame itself needs one.
  #load() {
    while (this.loading < AT_ONCE && this.waiting.length) {
      const [image, address] = this.waiting.shift();
      if (!image.isConnected) continue; // scrolled out of sight
      this.loading++;
      image.onload = image.onerror = () => {
        this.loading--;
        this.#load();
      };
      image.src = address;
    }
  }

  #add(index) {
    const stem = this.stems[index];
    const marks = this.marks(stem);
    const item = document.createElement("div");
    item.className = "thumbnail";
    item.id = `thumbnail-${index}`;
    item.dataset.index = index;
    item.style.left = `${index * WIDTH}px`;
    item.style.width = `${WIDTH - 4}px`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-label", [`Frame ${stem}`, ...marks].join(", "));
    const image = document.createElement("img");
    this.waiting.push([image, thumbnailAddress(stem)]);
    image.alt = "";
    image.draggable = false;
    const text = document.createElement("span");
    text.append(...marks.map((name) => Object.assign(document.createElement("span"), { className: `mark ${name}` })), stem);
    item.append(image, text);
    this.content.append(item);
    return item;
  }
}
