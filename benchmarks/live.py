"""Speed of a style for the live view: CPU time and frames per second on frames of 256 pixels, without the page.

dreaming clip=FOLDER 'stages=[live]'
python benchmarks/live.py FOLDER
"""

import argparse
import time
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from dreaming.clip.clip import Clip
from dreaming.imaging.resize import resize_image
from dreaming.io.prefetch import prefetch_map
from dreaming.live.style import LiveStyle
from dreaming.live.worker import AT_ONCE
from dreaming.training.inference import limit_threads

SIZES = ((256, 256), (256, 341))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="clip folder with a style for the live view")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clip = Clip(arguments.clip)
    style, frame = LiveStyle(clip, clip.layers[0].name), clip.frames.read(clip.stems[0])
    for size in SIZES:
        image = resize_image(frame, size)
        share = partial(limit_threads, max(1, arguments.threads // AT_ONCE))
        painted = prefetch_map(style.stylise, [image] * (arguments.frames + AT_ONCE), AT_ONCE, prepare=share)
        next(painted)  # the first one is slower
        cpu, start = time.process_time(), time.perf_counter()
        for _ in islice(painted, arguments.frames):
            pass
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
        per_frame = cpu / arguments.frames * 1000
        print(
            f"{size[1]}x{size[0]}: {per_frame:.0f} CPU-ms per frame, {arguments.frames / seconds:.1f} frames/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
