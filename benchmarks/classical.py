"""Speed of the classical maskers compared with the method of the 2021 program.

    python benchmarks/classical.py [--size 854x480] [--frames 60]

Prints one line for each figure: its name, the measured ratio or rate, and the required one.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.flow.dis import DisFlow
from dreaming.imaging.morphology import remove_isolated
from dreaming.io.types import Image, Mask
from dreaming.maskers.background import BackgroundMasker
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.gmm import GmmMasker


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Duration of a call in seconds, the shortest of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def loop_over_pixels(mask: Mask) -> Mask:
    """The neighbour rule of the 2021 program: a loop over the neighbours of each foreground pixel."""
    rows, columns = mask.shape
    kept = np.zeros_like(mask)
    for y in range(rows):
        for x in range(columns):
            if not mask[y, x]:
                continue
            count = around = 0
            for v in range(max(0, y - 1), min(rows, y + 2)):
                for u in range(max(0, x - 1), min(columns, x + 2)):
                    if (v, u) != (y, x):
                        around += 1
                        count += mask[v, u]
            kept[y, x] = count > 3 * around / 8
    return kept


def walk(folder: Path, count: int, size: tuple[int, int]) -> Clip:
    """A clip on disk: a coloured square moves across a noisy landscape."""
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
    landscape = cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.int16)
    for number in range(count):
        image = (landscape + rng.integers(-4, 5, landscape.shape, np.int16)).clip(0, 255).astype(np.uint8)
        image[square(number, count, size)] = (230, 60, 40)
        path = folder / "frames" / f"{number:04d}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image)
    return Clip(folder)


def square(number: int, count: int, size: tuple[int, int]) -> Mask:
    side = size[0] // 3
    left = (size[1] - side) * number // count
    mask = np.zeros(size, bool)
    mask[side : 2 * side, left : left + side] = True
    return mask


def marked(clip: Clip, count: int) -> References:
    stems = (clip.stems[0], clip.stems[-1])
    images = np.stack([clip.frames.read(stem) for stem in stems])
    return References(stems, images, np.stack([square(n, count, clip.size) for n in (0, count - 1)]))


def neighbour_rule(size: tuple[int, int]) -> None:
    mask = np.ones(size, bool)
    fast = seconds(lambda: remove_isolated(mask), 20)
    slow = seconds(lambda: loop_over_pixels(mask), 1)
    assert np.array_equal(remove_isolated(mask), loop_over_pixels(mask))
    print(f"neighbour rule, all foreground: {slow / fast:.0f} times a double loop (100 required), {fast * 1e3:.2f} ms")


def mixtures(clip: Clip, references: References) -> None:
    image = clip.frames.read(clip.stems[len(clip.stems) // 2])
    masker = GmmMasker(components=5).fit(clip, references)
    fitting = seconds(lambda: GmmMasker(components=5).fit(clip, references), 1)
    colours = _sample(references.images)
    mixture = GaussianMixture(5, random_state=0, reg_covar=1e-4).fit(colours)
    slow = seconds(lambda: mixture.predict_proba(image.reshape(-1, 3) / 255.0), 3)
    fast = seconds(lambda: masker.predict_frame(image), 10)
    print(f"colour mixture, each frame: {slow / fast:.0f} times predict_proba (20 required), {fast * 1e3:.1f} ms")
    print(f"  once per clip: {fitting:.1f} s to fit both mixtures and fill the table")


def _sample(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    pixels: Image = images.reshape(-1, 3)
    return pixels[:: max(1, len(pixels) // 10_000)] / 255.0


def background(clip: Clip, references: References) -> None:
    masker = BackgroundMasker(stabilise="none").fit(clip, references)
    took = seconds(lambda: [None for _ in masker.predict(clip, clip.stems)], 1)
    rate = 2 * (len(clip.stems) - 2) / took
    print(f"background subtraction, reading and cleaning included: {rate:.0f} frames/s per direction (25 required)")


def propagation(clip: Clip, references: References) -> None:
    masker = FlowMasker(DisFlow())

    def whole() -> None:
        shutil.rmtree(clip.path / "flow", ignore_errors=True)
        for _ in masker.fit(clip, references).predict(clip, clip.stems):
            pass

    start, count = time.process_time(), len(clip.stems)
    took = seconds(whole, 1)
    cpu = (time.process_time() - start) / count
    print(f"hand masks propagated, flow included: {count / took:.1f} frames/s (8 required), {cpu:.2f} CPU-s per frame")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="854x480", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--frames", type=int, default=60, help="number of frames")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        clip = walk(Path(folder), options.frames, (height, width))
        references = marked(clip, options.frames)
        neighbour_rule((height, width))
        mixtures(clip, references)
        background(clip, references)
        propagation(clip, references)


if __name__ == "__main__":
    main()
