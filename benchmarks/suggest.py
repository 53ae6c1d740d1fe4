"""Gain of additional hand masks at the frames of `stages=[suggest]`, compared with other choices of frames.

    python benchmarks/suggest.py [SEQUENCE ...] [--masks 5] [--more 2] [--masker pixels] [--threads 2] [--keep DIR]

Frames are suggested for a clip with its first hand masks. Copies of the clip get additional ground-truth masks: at
those frames, evenly over the clip, and in the middle of the widest gaps. Prints mean J and F of each copy over the
frames without an additional mask.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder
from dreaming.stages.scores.masks import scores

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def dream(clip: Path, options: argparse.Namespace, stage: str, *more: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dreaming", f"clip={clip}", f"masker={options.masker}", f"stages=[{stage}]"]
    command += [f"threads={options.threads}", "logger=csv", *more]
    done = subprocess.run(  # noqa: S603 -- this program itself
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def suggested(clip: Path, count: int) -> list[str]:
    """The suggested frames."""
    (rows,) = json.loads((clip / "suggestions.json").read_text()).values()
    return [row["frame"] for row in rows[:count]]


def evenly(clip: Path, count: int) -> list[str]:
    """Frames evenly over the clip, moved to the nearest frame without a hand mask."""
    stems, marked = FrameFolder(clip / "frames").stems, set(FrameFolder(clip / "hand_masks").stems)
    free = [index for index, stem in enumerate(stems) if stem not in marked]
    wanted = np.linspace(0, len(stems) - 1, count + 2)[1:-1]
    return [stems[min(free, key=lambda index: abs(index - want))] for want in wanted]


def in_the_widest_gaps(clip: Path, count: int) -> list[str]:
    """Repeatedly the middle of the widest gap between hand masks; the earliest of equally wide gaps."""
    stems = FrameFolder(clip / "frames").stems
    marked = [stems.index(stem) for stem in FrameFolder(clip / "hand_masks").stems]
    chosen: list[str] = []
    for _ in range(count):
        marked.sort()
        left, right = max(pairwise(marked), key=lambda gap: gap[1] - gap[0])
        marked.append((left + right) // 2)
        chosen.append(stems[marked[-1]])
    return chosen


WAYS: dict[str, Callable[[Path, int], list[str]]] = {
    "suggested": suggested,
    "evenly": evenly,
    "widest gaps": in_the_widest_gaps,
}


def masked_with(first: Path, truth: Path, frames: Sequence[str], name: str, options: argparse.Namespace) -> Path:
    """A copy of a clip with additional hand masks, and new masks of all frames."""
    clip = first.with_name(f"{first.name}-{name.replace(' ', '-')}")
    shutil.rmtree(clip, ignore_errors=True)
    # Optical flow depends on the frames only, so it is kept.
    shutil.copytree(first, clip, ignore=shutil.ignore_patterns("runs", "masks", "predictions", "split.json", "sugg*"))
    for stem in frames:
        shutil.copy(truth / "masks" / f"{stem}.png", clip / "hand_masks")
    dream(clip, options, "mask")
    return clip


def measure(sequence: str, options: argparse.Namespace, folder: Path) -> None:
    first = folder / sequence
    truth = first.with_name(first.name + "-truth")
    if not first.exists():
        command = [sys.executable, options.make, sequence, first, "--masks", str(options.masks)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- a script of the caller
    dream(first, options, "suggest", f"stage.suggest.count={options.more}")
    chosen = {name: way(first, options.more) for name, way in WAYS.items()}
    clips = {name: masked_with(first, truth, frames, name, options) for name, frames in chosen.items()}
    true = FrameFolder(truth / "masks")
    common = [stem for stem in true.stems if not any(stem in frames for frames in chosen.values())]
    for name, path in {"none": first, **clips}.items():
        clip = Clip(path)
        found = clip.masks("subject", options.masker)
        rows = [scores(found.read_mask(stem, clip.size), true.read_mask(stem, clip.size)) for stem in common]
        j, f = (fmean(row[key] for row in rows) for key in ("IoU", "boundary F"))
        print(f"{sequence}, {name} {' '.join(chosen.get(name, []))}: J {j:.4f} F {f:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="*", default=["dance-twirl", "breakdance"])
    parser.add_argument("--masks", type=int, default=5, help="first hand masks")
    parser.add_argument("--more", type=int, default=2, help="additional hand masks")
    parser.add_argument("--masker", default="pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--make", default=str(SHARED / "make_clip.py"))
    parser.add_argument("--keep", type=Path, help="folder to keep the clips in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for sequence in options.sequences:
            measure(sequence, options, folder)


if __name__ == "__main__":
    main()
