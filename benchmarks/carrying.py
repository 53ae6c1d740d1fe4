"""How well a picture arrives when it is carried along the flow, by how its drift is corrected.

    python benchmarks/carrying.py FRAMES ... [--length 21] [--threads 1]

FRAMES is a folder of frames. Its first one is carried to each of the next ones, where it should look like them. Prints
SSIM to them, the mean over all and that after 1, 5 and the most steps; flicker along the flow, as a ratio to that of
the frames; CPU-seconds for each frame. All flow but that of the corrections is computed before.
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
    "where much is gained": DriftCorrection(),
    "wherever it is better": DriftCorrection(gain=0.0),
    "and smoother": DriftCorrection(gain=0.0, smoothing_iterations=5),
}
"""The second is that of the maskers, the last that of the carried guide."""


def clip_of(frames: Path, length: int, place: Path) -> Clip:
    """The first frames of a folder as a clip."""
    folder = FrameFolder(frames)
    (place / "frames").mkdir(parents=True)
    for stem in folder.stems[:length]:
        shutil.copy(folder.files[stem], place / "frames")
    return Clip(place)


def tensor(image: Image) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def measure(clip: Clip, flows: FlowCache, drift: DriftCorrection | None) -> tuple[list[float], float, float]:
    """SSIM to each frame, flicker as a ratio to the frames' own, CPU-seconds a frame."""
    stems, first = clip.stems, clip.frames.read(clip.stems[0])
    began = time.process_time()
    carried = [(one.image, one.sample(first)) for one in FlowPropagator(clip, flows, drift).along(stems)]
    seconds = (time.process_time() - began) / len(carried)
    likeness = [float(ssim(tensor(found), tensor(image))) for image, found in carried]
    found, own = list[float](), list[float]()
    for place in range(1, len(carried)):
        before, after = stems[place], stems[place + 1]
        backward, forward = flows.between(after, before), flows.between(before, after)
        seen = visible_in_both(backward, forward)
        for values, kind in ((own, 0), (found, 1)):
            values.append(flicker(carried[place - 1][kind], carried[place][kind], backward, seen))
    return likeness, fmean(found) / fmean(own), seconds


def main() -> None:
    """Measure all corrections on all sequences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="+", type=Path)
    parser.add_argument("--length", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    table = Table("sequence", "corrected", "SSIM", "after 1", "after 5", "at the end", "flicker", "CPU-s")
    for frames in options.frames:
        with tempfile.TemporaryDirectory() as place:
            clip = clip_of(frames, options.length, Path(place) / "clip")
            flows = FlowCache(clip, DisFlow())
            flows.complete(workers=options.threads)
            for name, drift in CORRECTIONS.items():
                likeness, ratio, seconds = measure(clip, flows, drift)
                told = [fmean(likeness), likeness[0], likeness[min(4, len(likeness) - 1)], likeness[-1]]
                sequence = frames.parent.name if frames.name == "frames" else frames.name
                table.add_row(sequence, name, *(f"{value:.4f}" for value in told), f"{ratio:.3f}", f"{seconds:.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
