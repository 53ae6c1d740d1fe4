// Decoded frames: the last ones that were shown, and the next one.

import { getFrame } from "./server.js";

const KEPT = 24; // frames of 1920x1080 take 8 MB each

export class Frames {
  constructor() {
    this.map = new Map();
  }

  async get(stem, signal) {
    const image = this.map.get(stem) ?? (await getFrame(stem, signal));
    this.map.delete(stem);
    this.map.set(stem, image);
    if (this.map.size > KEPT) this.map.delete(this.map.keys().next().value);
    return image;
  }

  // Frames may have changed on disk.
  clear() {
    this.map.clear();
  }
}
