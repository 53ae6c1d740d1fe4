// Plays the frames at the clip's rate; skips those that a slow computer cannot show in time.

export class Player {
  // `open(index)` shows a frame and resolves when it is shown; `position()` returns its index.
  constructor(button, { open, position }) {
    this.button = button;
    this.open = open;
    this.position = position;
    this.playing = false;
  }

  stop() {
    this.playing = false;
    this.button.textContent = "Play";
  }

  async toggle(count, rate) {
    if (this.playing) {
      this.stop();
      return;
    }
    this.playing = true;
    this.button.textContent = "Pause";
    const first = this.position() === count - 1 ? 0 : this.position();
    const start = performance.now();
    let index = first;
    await this.open(index);
    // Whoever opens another frame or pauses meanwhile ends it.
    while (this.playing && this.position() === index && index < count - 1) {
      const due = first + Math.floor(((performance.now() - start) * rate) / 1000);
      if (due > index) {
        index = Math.min(count - 1, due);
        await this.open(index);
      } else {
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    }
    this.stop();
  }
}
