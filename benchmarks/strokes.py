"""Strokes of stylised frames by quality=draft and quality=good: one training, both scored, with their cost.

    python benchmarks/strokes.py [CLIP ...] [--steps 400 | --seconds 150] [--keyframes 2] [--frames 24] [--keep DIR]
                                 [--painter ink]

Clips and options are those of ``style_variants.py``, which trains and stylises; ``--painter`` paints the keyframes of
sequences, and the ground truth, by one of the demo's painters instead. Prints for each clip and quality: SSIM
to the painted frames; mean and minimum crispness, its greatest step between neighbours, and stroke distance, by the
scoring program; flicker, as a ratio to that of the frames, and the painter's own; with ink, the boundary F of dark
lines within a pixel; CPU-seconds per frame of the strokes alone. Last, the time and peak memory of the strokes of one
1080p frame from two keyframes.
"""

import argparse
import re
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import style_variants
from rich.console import Console
from rich.table import Table

from dreaming.demo.painters import PAINTERS, PainterName
from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder
from dreaming.metrics.boundary import boundary_f
from dreaming.strokes.keyframe import Keyframe
from dreaming.strokes.transfer import StrokeTransfer

TRANSFER = StrokeTransfer(DisFlow(scale=1.0), workers=1)
STROKES = re.compile(r"mean (\S+) min (\S+) greatest step (\S+)  stroke distance (\S+)")

DARK = 40
"""Level of the brightest channel below which a pixel belongs to an ink line."""

PIXEL = 1e-3
"""Tolerance of the lines' position, as a fraction of the diagonal, which is rounded up to whole pixels."""


def repaint(case: style_variants.Case, name: PainterName) -> style_variants.Case:
    """Paint the keyframes and the ground truth of a sequence by a painter of the demo."""
    (layer,) = case.clip.layers
    keyframes, truth = case.clip.keyframe_folder(layer), FrameFolder(case.truth.path.with_name(name))
    for index, stem in enumerate(case.clip.stems):
        if stem not in truth:
            truth.write(stem, PAINTERS[name](case.clip.frames.read(stem), index))
        if stem in keyframes:
            shutil.copy(truth.path / f"{stem}.png", keyframes.path)
    truth.refresh()
    return replace(case, name=f"{case.name} {name}", truth=truth)


def line_f(styled: FrameFolder, truth: FrameFolder) -> float:
    """Mean boundary F of the dark lines, against the painter's."""
    pairs = ((styled.read(stem), truth.read(stem)) for stem in styled.stems if stem in truth)
    return fmean(boundary_f(*(image.max(axis=2) < DARK for image in pair), PIXEL) for pair in pairs)


def add_strokes(case: style_variants.Case, draft: FrameFolder, good: Path) -> float:
    """Write the draft's frames with strokes to a folder; return the CPU-seconds per frame."""
    shutil.rmtree(good, ignore_errors=True)
    output, (layer,) = FrameFolder(good), case.clip.layers
    begun = time.process_time()
    frames = ((stem, draft.read(stem)) for stem in draft.stems)
    for stem, image in TRANSFER.apply(case.clip, layer, frames):
        output.write(stem, image)
    return (time.process_time() - begun) / len(draft.stems)


def measure(case: style_variants.Case, styled: FrameFolder, options: argparse.Namespace) -> list[str]:
    """Scores of a folder of stylised frames, as text."""
    scores = style_variants.scores(case, styled, options.score)
    (layer,) = case.clip.layers
    program = options.score.with_name("strokes.py")
    arguments = ["--pred", styled.path, "--keys", case.clip.keyframe_folder(layer).path]
    # A few painted frames among others would be compared with frames of other crispness.
    if set(styled.stems) <= set(case.truth.stems):
        arguments += ["--truth", case.truth.path]
    found = STROKES.search(style_variants.run([program, *arguments], 1).output)
    assert found is not None
    lines = f"{line_f(styled, case.truth):.3f}" if options.painter == "ink" else ""
    painter = f"{scores['painter']:.3f}" if "painter" in scores else ""
    return [f"{scores['ssim']:.4f}", *found.groups(), f"{scores['flicker']:.3f}", painter, lines]


def cost_at_1080p() -> str:
    """Seconds and peak memory of one frame, measured in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    images = np.random.default_rng(0).integers(0, 256, (4, 1080, 1920, 3), np.uint8)
    keyframes = [(Keyframe(frame, frame, np.ones((1080, 1920), bool)), 5) for frame in images[:2]]
    begun = time.process_time()
    TRANSFER.transfer(images[2], images[3], keyframes)
    seconds = time.process_time() - begun
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    return f"1080p: {seconds:.1f} CPU-seconds per frame, {added:.2f} GB more than the program"


def main() -> None:
    """Measure and print."""
    parser = style_variants.make_parser(__doc__)
    parser.add_argument("--painter", choices=PAINTERS, help="a painter of the demo, instead of that of --make")
    options = style_variants.parse(parser)
    options.overrides.append("quality=draft")
    columns = ("clip", "quality", "SSIM", "crispness", "minimum", "step", "distance", "flicker", "painter's", "lines")
    table = Table(*columns, "CPU-s per frame")
    with style_variants.kept_folder(options) as folder:
        for asked in options.clips:
            case = style_variants.prepare(asked, options, folder / options.painter if options.painter else folder)
            if options.painter:
                case = repaint(case, options.painter)
            for limit in options.limits:
                cell = style_variants.measure(case, "canvas", style_variants.VARIANTS["canvas"], options, limit)
                draft = FrameFolder(style_variants.kept_frames(case, "canvas", limit))
                seconds = add_strokes(case, draft, good := draft.path.with_name("good"))
                for name, styled, cost in (("draft", draft, 0.0), ("good", FrameFolder(good), seconds)):
                    table.add_row(cell.clip, name, *measure(case, styled, options), f"{cost:.2f}")
    Console(width=160).print(table)
    print(cost_at_1080p())


if __name__ == "__main__":
    main()
