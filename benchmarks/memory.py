"""Peak memory of maskers and stages on a short and a long synthetic clip; a ratio of 1 means constant memory.

    python benchmarks/memory.py [--size 1280x720] [--frames 100 2000] [--only flow,gmm,filter]

Each run is a separate process. Prints one line for each: both peaks, their ratio (at most 1.1 required), and frames/s.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from dreaming.clip.clip import Clip
from dreaming.clip.layer_masks import LayerMasks
from dreaming.features.extractor import PropagationFeatures
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter, MaskSmoothing
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.gauss import GaussGuide
from dreaming.maskers.background import BackgroundMasker
from dreaming.maskers.base import Masker
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.gmm import GmmMasker
from dreaming.maskers.grabcut import GrabCutMasker
from dreaming.maskers.pixels import PixelsMasker
from dreaming.maskers.threshold import ThresholdMasker
from dreaming.stages.filter import FilterStage
from dreaming.stages.flow import FlowStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.mask import MaskStage

ROOT = Path(__file__).resolve().parents[1]
FLAT, LIMIT = 1.1, 1.5  # largest ratio, and largest peak in GB
MASKS = 5
FLOW = DisFlow()


def draw(folder: Path, count: int, size: tuple[int, int]) -> None:
    """A coloured square moves across a noisy landscape; five hand masks, one keyframe."""
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (size[0] // 16, size[1] // 16, 3), np.uint8)
    landscape = cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(0, 9, (size[0] + 16, size[1] + 16, 3), np.uint8)
    marked = set(np.linspace(0, count - 1, MASKS).round().astype(int))
    for kind in ("frames", "hand_masks", "keyframes/painted"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        y, x = rng.integers(0, 16, 2)
        image = cv2.add(landscape, grain[y : y + size[0], x : x + size[1]])
        mask = np.zeros(size, np.uint8)
        side = size[0] // 3
        # It moves back and forth at the same speed in every clip.
        left = abs((4 * number) % (2 * (size[1] - side)) - (size[1] - side))
        mask[side : 2 * side, left : left + side] = 255
        image[mask > 0] = (60, 60, 220)
        cv2.imwrite(str(folder / f"frames/{number + 1:05d}.jpg"), image)
        if number in marked:
            cv2.imwrite(str(folder / f"hand_masks/{number + 1:05d}.png"), mask)
        if number == 0:
            cv2.imwrite(str(folder / f"keyframes/painted/{number + 1:05d}.png"), 255 - image)


def masked_by(masker: Masker, smooth: MaskSmoothing | None = None) -> Callable[[Clip], None]:
    return MaskStage({"benchmark": masker}, smooth=smooth).run


def guided(name: str) -> Callable[[Clip], None]:
    guides = {"edges": EdgeGuide(), "gauss": GaussGuide(FLOW, LayerMasks(["none"]))}

    def run(clip: Clip) -> None:
        # The layer covers the whole frame, so it needs no masks.
        (clip.path / "clip.yaml").write_text("layers: [{name: painted}]")
        GuideStage(guides, [name]).run(Clip(clip.path))

    return run


def commanded(*overrides: str) -> Callable[[Clip], None]:
    """Run the command in a separate process, with the config of the program."""

    def run(clip: Clip) -> None:
        command = [sys.executable, "-m", "dreaming", f"clip={clip.path}", "stages=[mask]", "logger=csv", *overrides]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)  # noqa: S603

    return run


RUNS: dict[str, Callable[[Clip], None]] = {
    "flow stage": FlowStage(FLOW).run,
    "flow": masked_by(FlowMasker(FLOW)),
    "background": masked_by(BackgroundMasker(stabilise="none")),
    "gmm": masked_by(GmmMasker(components=3)),
    "threshold": masked_by(ThresholdMasker()),
    "grabcut": masked_by(GrabCutMasker(ThresholdMasker(), iterations=1, scale=0.5)),
    "pixels": masked_by(PixelsMasker(PropagationFeatures(FLOW))),
    "unet": commanded("masker=unet", "model.unet.limits.max_steps=50", "threads=1"),
    "smooth": masked_by(ThresholdMasker(), MaskSmoothing(FLOW, sigma=5.0)),
    "filter": FilterStage(FLOW, BilateralFilter()).run,
    "gauss": guided("gauss"),
    "edges": guided("edges"),
}


def measure(name: str, path: str, threads: int, answer: "multiprocessing.Queue[tuple[float, float]]") -> None:
    cv2.setNumThreads(threads)
    start = time.perf_counter()
    RUNS[name](Clip(Path(path)))
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    answer.put((used / 1e6, time.perf_counter() - start))


def peak(name: str, path: Path, threads: int) -> tuple[float, float]:
    """Peak memory in GB and duration in seconds of a run in a separate process."""
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.Queue[tuple[float, float]] = context.Queue()
    child = context.Process(target=measure, args=(name, str(path), threads, answer))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{name} ended with {child.exitcode}")
    return answer.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--frames", type=int, nargs=2, default=(100, 2000), help="lengths of both clips")
    parser.add_argument("--only", default=",".join(RUNS), help="what to measure, separated by commas")
    parser.add_argument("--threads", type=int, default=2, help="OpenCV threads")
    parser.add_argument("--keep-flow", action="store_true", help="reuse the flow of earlier runs")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder) / str(count) for count in options.frames]
        for clip, count in zip(clips, options.frames, strict=True):
            draw(clip, count, (height, width))
        for name in options.only.split(","):
            (short, _), (long, seconds) = (peak(name, clip, options.threads) for clip in clips)
            verdict = "NOT FLAT" if long > FLAT * short else "TOO MUCH" if long > LIMIT else "flat"
            print(
                f"{name}: {short:.2f} GB for {options.frames[0]} frames, {long:.2f} GB for {options.frames[1]}, "
                f"{long / short:.2f} times: {verdict}; {options.frames[1] / seconds:.1f} frames/s",
                flush=True,
            )
            if not options.keep_flow:
                for clip in clips:
                    shutil.rmtree(clip / "flow", ignore_errors=True)


if __name__ == "__main__":
    main()
