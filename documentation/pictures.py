"""Draw the pictures of the documentation, ``docs/images/``, from a finished demo clip.

dreaming clip=demo experiments=demo stage.draw.painter=oil stage.draw.background=null
dreaming clip=demo 'stages=[mask]' 'masker=[flow,pixels,grabcut,background,gmm,threshold,cnn,unet,ensemble]'
dreaming clip=demo 'stages=[suggest]' masker=pixels
cp -r demo demo-draft && dreaming clip=demo-draft experiments=demo 'stages=[stylise]' quality=draft
python documentation/pictures.py demo demo-draft
"""

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.overlay import overlay
from dreaming.stages.suggest import COLUMN

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
MASKERS = ("flow", "grabcut", "pixels", "cnn", "unet", "ensemble", "background", "gmm", "threshold")
GAP = 6
"""Pixels between two pictures."""

Picture = NDArray[np.uint8]


def read(path: Path) -> Picture:
    """Read a picture (H, W, 3) RGB."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path} is missing; the docstring of this script lists the commands that make it")
    return image[..., ::-1]


def masked(clip: Path, masker: str, stem: str) -> Picture:
    """A frame with the mask of a masker as a green overlay."""
    mask = read(clip / "masks" / masker / f"{stem}.png")[..., 0] > 127
    return overlay(read(clip / "frames" / f"{stem}.png"), mask)


def labelled(image: Picture, text: str) -> Picture:
    """A picture with a line of text above it."""
    strip = np.full((22, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, image])


def sheet(rows: list[list[Picture]]) -> Picture:
    """Pictures of one size in rows, on white."""
    white = {"borderType": cv2.BORDER_CONSTANT, "value": (255, 255, 255)}
    padded = [np.hstack([cv2.copyMakeBorder(image, 0, GAP, 0, GAP, **white) for image in row]) for row in rows]
    return np.vstack(padded)[:-GAP, :-GAP]


def enlarged(image: Picture, factor: float, how: int = cv2.INTER_CUBIC) -> Picture:
    """A picture at another size."""
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)


def save(name: str, picture: Picture) -> None:
    """Write a picture to ``docs/images``."""
    IMAGES.mkdir(exist_ok=True)
    cv2.imwrite(str(IMAGES / f"{name}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def draw(clip: Path, draft: Path) -> None:
    """Draw all pictures."""
    frames = [path.stem for path in sorted((clip / "frames").glob("*.png"))]
    painted = [path.stem for path in sorted((clip / "hand_masks").glob("*.png"))]
    keyframe = min(path.stem for path in (clip / "keyframes" / "painted").glob("*.png"))
    between = [frames[(frames.index(a) + frames.index(b)) // 2] for a, b in pairwise(painted)]

    rows = [[read(clip / folder / f"{stem}.png") for stem in painted] for folder in ("frames", "hand_masks")]
    save("hand_masks", sheet([[enlarged(image, 0.8, cv2.INTER_AREA) for image in row] for row in rows]))
    pair = [clip / "frames" / f"{keyframe}.png", clip / "keyframes" / "painted" / f"{keyframe}.png"]
    save("keyframe", sheet([[enlarged(read(path), 2) for path in pair]]))
    save("masks", sheet([[masked(clip, "pixels", stem) for stem in between]]))
    suggested = read(clip / "suggestions.png")
    save("suggestions", suggested[: 2 * suggested.shape[0] // 5, :COLUMN])

    stem = between[1]
    pictures = [labelled(masked(clip, name, stem), name) for name in MASKERS]
    save("maskers", sheet([pictures[i : i + 3] for i in range(0, len(pictures), 3)]))

    sources = {
        "frame": clip / "frames",
        "network alone (quality=draft)": draft / "styled" / "painted",
        "with strokes (quality=good)": clip / "styled" / "painted",
        "the painter": clip / "truth" / "styled",
    }
    images = {name: read(folder / f"{stem}.png") for name, folder in sources.items()}
    whole = [labelled(enlarged(image, 2), name) for name, image in images.items()]
    save("style", sheet([whole[:2], whole[2:]]))
    height, width = next(iter(images.values())).shape[:2]
    rows, columns = slice(height // 4, height // 4 + 64), slice(width // 3, width // 3 + 80)
    close = [labelled(enlarged(image[rows, columns], 4, cv2.INTER_NEAREST), name) for name, image in images.items()]
    save("strokes", sheet([close[:2], close[2:]]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="folder of the finished demo clip")
    parser.add_argument("draft", type=Path, help="the same, stylised with quality=draft")
    arguments = parser.parse_args()
    draw(arguments.clip, arguments.draft)
