// The masks in memory, each with its frame, its version on disk and its history. Those that are not saved are also kept
// in the browser's database, so that they survive a reload.

import { Mask } from "./mask.js";

const KEPT = 30; // saved masks in memory, for their history

const keyOf = (part, stem) => `${part}/${stem}`;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function openDatabase() {
  const request = indexedDB.open("dreaming", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("drafts", { keyPath: ["clip", "part", "stem"] });
  return done(request);
}

export class Entries {
  constructor() {
    this.map = new Map();
    this.database = null;
    this.clip = null;
  }

  get(part, stem) {
    return this.map.get(keyOf(part, stem));
  }

  set(entry) {
    const key = keyOf(entry.part, entry.stem);
    this.map.delete(key);
    this.map.set(key, entry);
    const saved = [...this.map].filter(([, { dirty }]) => !dirty);
    for (const [old] of saved.slice(0, Math.max(0, saved.length - KEPT))) this.map.delete(old);
  }

  delete(part, stem) {
    this.map.delete(keyOf(part, stem));
    this.#forget(part, stem);
  }

  get dirty() {
    return [...this.map.values()].filter(({ dirty }) => dirty);
  }

  // Records that a mask was painted on, or that it was saved.
  mark(entry, dirty) {
    entry.dirty = dirty;
    if (!dirty) {
      this.#forget(entry.part, entry.stem);
      return;
    }
    const { part, stem, version, mask } = entry;
    const { width, height } = mask;
    // Drafts are a convenience: where the browser allows no database, the page asks before it is left.
    this.#store("readwrite")?.put({ clip: this.clip, part, stem, version, width, height, values: mask.values });
  }

  // Brings back what was not saved of a clip, and returns the number of masks.
  async restore(clip) {
    this.clip = clip.path;
    try {
      this.database = await openDatabase();
    } catch {
      return 0;
    }
    const drafts = await done(this.#store("readonly").getAll());
    const frames = new Set(clip.frames);
    const parts = new Set(clip.parts.map(({ name }) => name));
    const fits = ({ clip: path, part, stem, width, height }) =>
      path === clip.path && parts.has(part) && frames.has(stem) && clip.size[0] === height && clip.size[1] === width;
    const fitting = drafts.filter(fits);
    for (const { part, stem, version, width, height, values } of fitting) {
      this.set({ part, stem, version, mask: new Mask(width, height, values), dirty: true });
    }
    return fitting.length;
  }

  #store(mode) {
    return this.database?.transaction("drafts", mode).objectStore("drafts");
  }

  #forget(part, stem) {
    this.#store("readwrite")?.delete([this.clip, part, stem]);
  }
}
