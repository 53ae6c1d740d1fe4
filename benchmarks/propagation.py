"""Quality of a frame propagated along the optical flow, by the way its drift is corrected.

    python benchmarks/propagation.py FRAMES ... [--length 21] [--threads 1]

FRAMES is a folder of frames. The first frame is propagated to each of the following ones and should look like them.
The table shows SSIM to those frames (mean, and after 1, 5 and the most steps), flicker along the flow as a ratio to
that of the frames, and CPU-seconds per frame. The flow is computed before the measurement, except that of the
corrections.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import fmean

import cv2
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import DriftCorrection, FlowPropagator
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Image
from dreaming.metrics.flicker import flicker, visible_in_both
from dreaming.metrics.similarity import ssim

CORRECTIONS = {
    "none": None,
    "large gains only": DriftCorrection(),
    "any gain": DriftCorrection(min_improvement=0.0),
    "any gain, smoothed": DriftCorrection(min_improvement=0.0, smoothing_iterations=5),
}
"""The second is that of the maskers, the last that of the propagated guide."""


def clip_of(frames: Path, length: int, folder: Path) -> Clip:
    """The first frames of a folder as a clip."""
    source = FrameFolder(frames)
    (folder / "frames").mkdir(parents=True)
    for stem in source.stems[:length]:
        shutil.copy(source.files[stem], folder / "frames")
    return Clip(folder)


def tensor(image: Image) -> Tensor:
    """An image as (1, 3, H, W) in 0..1."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def measure(clip: Clip, flows: FlowCache, drift: DriftCorrection | None) -> tuple[list[float], float, float]:
    """SSIM to each frame, flicker as a ratio to that of the frames, and CPU-seconds per frame."""
    stems, first = clip.stems, clip.frames.read(clip.stems[0])
    start = time.process_time()
    propagated = [(one.image, one.sample(first)) for one in FlowPropagator(clip, flows, drift).propagate(stems)]
    seconds = (time.process_time() - start) / len(propagated)
    similarity = [float(ssim(tensor(warped), tensor(image))) for image, warped in propagated]
    measured, baseline = list[float](), list[float]()
    for index in range(1, len(propagated)):
        before, after = stems[index], stems[index + 1]
        backward, forward = flows.between(after, before), flows.between(before, after)
        visible = visible_in_both(backward, forward)
        for values, kind in ((baseline, 0), (measured, 1)):
            values.append(flicker(propagated[index - 1][kind], propagated[index][kind], backward, visible))
    return similarity, fmean(measured) / fmean(baseline), seconds


def main() -> None:
    """Measure all corrections on all sequences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="+", type=Path, help="folders of frames")
    parser.add_argument("--length", type=int, default=21, help="number of frames")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    table = Table("sequence", "correction", "SSIM", "after 1", "after 5", "at the end", "flicker", "CPU-s")
    for frames in options.frames:
        with tempfile.TemporaryDirectory() as folder:
            clip = clip_of(frames, options.length, Path(folder) / "clip")
            flows = FlowCache(clip, DisFlow())
            flows.complete(workers=options.threads)
            for name, drift in CORRECTIONS.items():
                similarity, ratio, seconds = measure(clip, flows, drift)
                shown = [fmean(similarity), similarity[0], similarity[min(4, len(similarity) - 1)], similarity[-1]]
                sequence = frames.parent.name if frames.name == "frames" else frames.name
                table.add_row(sequence, name, *(f"{value:.4f}" for value in shown), f"{ratio:.3f}", f"{seconds:.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
