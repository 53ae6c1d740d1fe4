"""Make a clip folder of a real sequence at half its size, by a program such as ``../shared/make_clip.py``.

The gallery shows frames of 256 pixels; at half size, a clip takes a quarter of the time. Keyframes are painted in gold,
a style that nobody takes for the source even at that size.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from dreaming.demo.painters import gild


def halve(clip: Path, out: Path) -> None:
    """Write all pictures of a clip folder at half their size, with even sides; masks stay black and white."""
    for path in sorted(clip.rglob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = image.shape[:2]
        small = cv2.resize(image, (width // 4 * 2, height // 4 * 2), interpolation=cv2.INTER_AREA)
        if "hand_masks" in path.parts:
            small = (small > 127) * small.dtype.type(255)
        target = out / path.relative_to(clip)
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), small)


def repaint(clip: Path) -> None:
    """Replace all keyframes of a clip folder by their frames painted in gold."""
    for path in sorted(clip.glob("keyframes/**/*.png")):
        frame = cv2.imread(str(clip / "frames" / path.name))
        cv2.imwrite(str(path), gild(frame[..., ::-1])[..., ::-1])


def make(program: Path, sequence: str, out: Path) -> None:
    """Make the clip folder ``out``, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        whole, half = Path(scratch, "whole"), Path(scratch, "half")
        subprocess.run([sys.executable, program, sequence, whole], check=True)  # noqa: S603 -- a script of the caller
        halve(whole, half)
        repaint(half)
        half.rename(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="called with SEQUENCE FOLDER")
    parser.add_argument("sequence", help="name of the sequence")
    parser.add_argument("out", type=Path, help="the new clip folder")
    arguments = parser.parse_args()
    make(arguments.program, arguments.sequence, arguments.out)
