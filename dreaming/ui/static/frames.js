// Decoded frames: the last ones that were shown, and the next one.

import { getFrame } from "./server.js";

const KEPT = 24; // frames of 1920x1080 take 8 MB each

export class Frames {
  constructor() {
    this.map = new Map();
  }

  // `folder` is the path of another folder than frames/ in the clip; null if it has no such picture.
  async get(stem, signal, folder = "frames") {
    const key = `${folder}/${stem}`;
    const image = this.map.get(key) ?? (await getFrame(stem, signal, folder));
    this.map.delete(key);
    if (!image) return null; // it may be made soon
    this.map.set(key, image);
    if (this.map.size > KEPT) this.map.delete(this.map.keys().next().value);
    return image;
  }

  // Frames may have changed on disk.
  clear() {
    this.map.clear();
  }
}
