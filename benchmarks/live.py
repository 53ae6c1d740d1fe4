"""Speed of a style for the live view: CPU time and frames per second on frames of 256 pixels, without the page.

dreaming clip=FOLDER 'stages=[live]'
python benchmarks/live.py FOLDER
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from dreaming.clip.clip import Clip
from dreaming.imaging.resize import resize_image
from dreaming.live.style import LiveStyle

SIZES = ((256, 256), (256, 341))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="clip folder with a style for the live view")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clip = Clip(arguments.clip)
    style, frame = LiveStyle(clip, clip.layers[0].name), clip.frames.read(clip.stems[0])
    for size in SIZES:
        image = resize_image(frame, size)
        style.stylise(image)  # the first one is slower
        walls, cpu = [], time.process_time()
        for _ in range(arguments.frames):
            start = time.perf_counter()
            style.stylise(image)
            walls.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / arguments.frames
        rate = 1 / float(np.median(walls))
        print(f"{size[1]}x{size[0]}: {cpu * 1000:.0f} CPU-ms per frame, {rate:.1f} frames/s", flush=True)


if __name__ == "__main__":
    main()
