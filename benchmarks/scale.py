"""CPU time per frame and peak memory of every stage on clips of several lengths; neither may grow with the length.

    python benchmarks/scale.py [--size 160x90] [--frames 150 600] [--only flow,mask,guide] [--folder DIR] [OVERRIDES]

The frames repeat few different pictures, and a video brings them, so that drawing is cheap. Maskers and training are
the cheapest ones, because their cost does not depend on the clip's length. Each stage runs as the command that a user
would type. For each, prints the CPU time per frame between neighbouring lengths, which leaves out the cost of a start,
the time of a start, and the peak memory of the longest clip relative to the shortest; ``again`` repeats the last
command.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from dreaming.video.writer import write_video

ROOT = Path(__file__).resolve().parents[1]
FLAT = 1.1
"""Largest growth that counts as none: of time per frame from one pair of lengths to the next, and of memory."""
PICTURES = 64
MASKS = 5
COMMON = (
    *("threads=1", "logger=csv", "masker=threshold", "quality=draft", "guides=[edges,canvas]", "matte=guided"),
    *("model.style.limits.max_steps=5", "model.style.validate_every=5", "stage.composite.preset=ultrafast"),
)
STAGES = {
    name: f"stages=[{name}]"
    for name in ("extract", "flow", "mask", "matte", "guide", "stylise", "composite", "export", "evaluate", "report")
} | {"again": "stages=[report]"}


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """Write a video of a square that moves over a landscape, hand masks of some frames, and one keyframe."""
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    landscape = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    side, pictures, masks = height // 3, [], []
    for number in range(PICTURES):
        left = round(abs(2 * number / PICTURES - 1) * (width - side))
        mask = np.zeros((height, width), np.uint8)
        mask[side : 2 * side, left : left + side] = 255
        masks.append(mask)
        pictures.append(np.where(mask[..., None] > 0, np.uint8(200), landscape))
    (folder / "hand_masks").mkdir(parents=True)
    (folder / "keyframes" / "painted").mkdir(parents=True)
    write_video(folder / "source.mp4", (pictures[number % PICTURES] for number in range(count)), fps=25)
    digits = max(4, len(str(count)))
    for number in np.linspace(0, count - 1, MASKS).round().astype(int):
        cv2.imwrite(str(folder / "hand_masks" / f"{number + 1:0{digits}d}.png"), masks[number % PICTURES])
    cv2.imwrite(str(folder / "keyframes" / "painted" / f"{1:0{digits}d}.png"), 255 - pictures[0][..., ::-1])


def measure(clip: Path, stages: str, overrides: Sequence[str]) -> tuple[float, float]:
    """CPU seconds, and peak memory in MB, of a command."""
    command = [sys.executable, "-m", "dreaming", f"clip={clip.resolve()}", stages, *COMMON, *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{stages} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="160x90", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--frames", type=int, nargs="+", default=(150, 600), help="lengths, ascending, at least two")
    parser.add_argument("--only", default=",".join(STAGES), help="stages, separated by commas, in their order")
    parser.add_argument("--folder", type=Path, help="where to keep the clips; default: a temporary folder")
    parser.add_argument("overrides", nargs="*", help="of the program, such as masker=pixels")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        clips = [(options.folder or Path(temporary)) / str(count) for count in options.frames]
        for clip, count in zip(clips, options.frames, strict=True):
            if not clip.exists():
                draw(clip, count, width, height)
        for name in options.only.split(","):
            figures = [measure(clip, STAGES[name], options.overrides) for clip in clips]
            runs = list(zip(options.frames, figures, strict=True))
            steps = [(more[0] - less[0]) / (long - short) for (short, less), (long, more) in pairwise(runs)]
            start = figures[0][0] - steps[0] * options.frames[0]
            growth = figures[-1][1] / figures[0][1]
            grows = growth > FLAT or any(after > FLAT * before for before, after in pairwise(steps))
            times = ", ".join(f"{1e3 * step:.1f}" for step in steps)
            print(
                f"{name}: {times} ms per frame, {start:.1f} s to start,"
                f" {figures[-1][1]:.0f} MB ({growth:.2f} times): {'GROWS' if grows else 'flat'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
