"""Draw a finished clip as a picture and a looping clip: frames, masks, stylised layers and composite.

`make gallery` draws those of the documentation from the demo, and others from the real clips beside the checkout.
"""

import argparse
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from pictures import enlarged, labelled, masked, read, sheet

ROWS = 3
"""Frames in the picture."""
WIDTH = 256
"""Width of one frame, in pixels."""
STEP = 3
"""Every third frame is in the looping clip."""
MILLISECONDS = 125
"""Time that each of them is shown."""


def columns(clip: Path, masker: str, stem: str) -> dict[str, NDArray[np.uint8]]:
    """The pictures of one frame, RGB (H, W, 3), by what they show."""
    layers = sorted(path.name for path in (clip / "styled").iterdir() if path.is_dir())
    pictures = {
        "frame": read(clip / "frames" / f"{stem}.png"),
        "mask": masked(clip, masker, stem),
        **{f"style: {layer}": read(clip / "styled" / layer / f"{stem}.png") for layer in layers},
        "composite": read(clip / "composite" / f"{stem}.png"),
    }
    return {name: enlarged(picture, WIDTH / picture.shape[1]) for name, picture in pictures.items()}


def draw(clip: Path, masker: str, out: Path) -> None:
    """Write ``NAME.jpg`` and ``NAME.webp`` of a clip folder of that name."""
    stems = sorted(path.stem for path in (clip / "composite").glob("*.png"))
    chosen = [stems[round(index)] for index in np.linspace(0, len(stems) - 1, ROWS + 2)[1:-1]]
    rows = [[labelled(image, name) for name, image in columns(clip, masker, stem).items()] for stem in chosen]
    out.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(sheet(rows)).save(out / f"{clip.name}.jpg", quality=80)
    loop = []
    for stem in stems[::STEP]:
        pictures = columns(clip, masker, stem)
        images = [pictures["frame"], pictures["mask"], list(pictures.values())[-2], pictures["composite"]]
        loop.append(PIL.Image.fromarray(np.vstack([np.hstack(images[:2]), np.hstack(images[2:])])))
    loop[0].save(
        out / f"{clip.name}.webp",
        save_all=True,
        append_images=loop[1:],
        duration=MILLISECONDS,
        loop=0,
        quality=45,
        method=6,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="folder of a finished clip")
    parser.add_argument("masker", help="name of the masker whose masks are shown")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    arguments = parser.parse_args()
    draw(arguments.clip, arguments.masker, arguments.out)
