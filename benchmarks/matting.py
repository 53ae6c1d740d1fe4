"""Methods of matting on a furry animal over real frames, with masks of a real masker: errors and time.

    python benchmarks/matting.py BACKGROUND [--frames 24] [--fur 0.4] [--methods none,guided] [--keep DIR]

``BACKGROUND`` is a folder of frames, such as data/davis/dog/frames. Five hand masks are the true mattes, thresholded;
the masker ``pixels`` makes the others, in a process of its own. Prints for each method: MSE (x 1000), SAD, gradient
error (/ 1000) and dtSSD (x 100) within 10 pixels of soft edges, the change along the optical flow (x 100), which the
true mattes have, too, and seconds per frame of one worker. ``--keep`` keeps the clip, and its masks for the next call.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.demo.fur import FurryScene
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Probability
from dreaming.matting.smoothing import MatteSmoothing
from dreaming.matting.trimap import soft_band
from dreaming.metrics.flicker import Flicker, visible_in_both
from dreaming.stages.composite import CompositeStage
from dreaming.stages.matte import MatteStage
from dreaming.stages.scores.mattes import matte_rows
from dreaming.stages.scores.record import KEYS, MATTE, mean_row

METHODS = "none,probabilities,guided,guided unsmoothed,closed_form,knn"


def make_clip(folder: Path, background: FrameFolder, frames: int, fur: float) -> Clip:
    """Draw the animal over the frames of a folder; write frames, five hand masks and true mattes."""
    height, width = background.size
    scene = FurryScene(frames=frames, height=height, width=width, fur=fur)
    masked = set(np.round(np.linspace(0, frames - 1, 5)).astype(int).tolist())
    pictures, masks, mattes = (FrameFolder(folder / name) for name in ("frames", "hand_masks", "truth/alpha"))
    for index, behind in enumerate(background.stems[:frames]):
        stem, (colours, matte) = f"{index + 1:04d}", scene.animal(index)
        image = background.read(behind) + matte[..., None] * (colours - background.read(behind))
        pictures.write(stem, np.rint(image).astype(np.uint8))
        mattes.write(stem, np.rint(matte * 65535).astype(np.uint16))
        if index in masked:
            masks.write(stem, (matte >= 0.5).astype(np.uint8) * 255)
    return Clip(folder)


def make_mattes(clip: Clip, method: str) -> float:
    """Write the mattes of a method to the clip; return its wall-clock seconds per frame."""
    masks, mattes = clip.masks("subject", "pixels"), clip.mattes("subject", "pixels")
    shutil.rmtree(mattes.path, ignore_errors=True)
    smooth = MatteSmoothing(DisFlow(), workers=1)
    stage = MatteStage(["pixels"], smooth, workers=1)
    begun = time.perf_counter()
    if method in ("none", "probabilities"):
        composite = CompositeStage(["pixels"])
        if method == "probabilities":
            composite = replace(composite, threshold=None, feather=0.0)
        opened = composite.open_layer(clip, Layer("subject", part="subject"))
        for stem in masks.stems:
            mattes.write(stem, np.rint(composite.opacity(clip, opened, stem) * 65535).astype(np.uint16))
    else:
        name, _, unsmoothed = method.partition(" ")
        stage = replace(stage, method=name, smooth=replace(smooth, sigma=None if unsmoothed else smooth.sigma))
        stage.run(clip)
    return (time.perf_counter() - begun) / len(masks.stems)


def flicker(clip: Clip, mattes: FrameFolder) -> float:
    """Mean change of mattes along the optical flow within the soft band of the truth, times 100."""
    flows, metric = FlowCache(clip, DisFlow()), Flicker()
    truth = FrameFolder(clip.path / "truth" / "alpha")
    before: tuple[str, Probability] | None = None
    for stem in clip.stems:
        matte = mattes.read_matte(stem)
        if before is not None and clip.shots.joined(before[0], stem):
            backward, forward = (resize_flow(each, clip.size) for each in flows.both_ways(stem, before[0]))
            visible = visible_in_both(backward, forward) & soft_band(truth.read_matte(stem))
            metric.update([before[1]], [matte], [backward], [visible])
        before = stem, matte
    return 100 * float(metric.compute())


def rows(clip: Clip, methods: list[str], measure: Callable[[Clip, str], float] = make_mattes) -> Iterator[list[str]]:
    """Yield a row of the table for each method, and one for the truth."""
    truth, mattes = FrameFolder(clip.path / "truth" / "alpha"), clip.mattes("subject", "pixels")
    scored = [stem for stem in clip.stems if stem not in clip.split("subject").seen]
    for method in methods:
        seconds = measure(clip, method)
        mattes.refresh()
        mean = mean_row([{**dict.fromkeys(KEYS, ""), **row} for row in matte_rows(clip, mattes, truth, scored)])
        means = [mean[name] for name in MATTE]
        yield [method, *(f"{value:.2f}" for value in means), f"{flicker(clip, mattes):.2f}", f"{seconds:.2f}"]
    yield ["truth", *["0"] * 4, f"{flicker(clip, truth):.2f}", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("background", type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--fur", type=float, default=0.4)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary) / "clip"
        clip = Clip(folder)
        if not (folder / "truth").exists():
            clip = make_clip(folder, FrameFolder(options.background), options.frames, options.fur)
        command = [sys.executable, "-m", "dreaming", f"clip={folder}", "stages=[mask]", "masker=pixels", "logger=csv"]
        subprocess.run(command, check=True)  # noqa: S603 - this program itself
        table = Table("method", "MSE", "SAD", "gradient", "dtSSD", "flicker", "s/frame")
        for row in rows(clip, options.methods.split(",")):
            table.add_row(*row)
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
