"""Results of the stages that the page shows: pictures by folder, scores, and the pictures of the report."""

from pathlib import Path

import numpy as np

from dreaming.clip.annotations import SUBJECT
from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder, subfolders
from dreaming.io.image import decode_opacity, encode_png


def folders_of(clip: Clip) -> dict[str, FrameFolder]:
    """The folders of pictures that can be compared, by their path in the clip; nothing in them is listed."""
    roots = {clip.masks(part, "any").path.parent for part in clip.parts or [SUBJECT]}
    roots |= {clip.path / name for name in ("keyframes", "styled", "preview/styled")}
    paths = [root / name for root in roots for name in subfolders(root)]
    folders = [clip.frames, *map(FrameFolder, [*paths, clip.path / "composite", clip.path / "preview/composite"])]
    return {folder.path.relative_to(clip.path).as_posix(): folder for folder in folders}


def as_png(folder: FrameFolder, stem: str) -> bytes:
    """A picture of the user's in sRGB and 8 bits as PNG, with its opacity."""
    image, opacity = folder.read(stem), decode_opacity(folder.files[stem])
    if opacity is not None:
        image = np.dstack([image, np.rint(opacity * 255).astype(np.uint8)])
    return encode_png(image, compression=1)


def worst_pictures(clip: Clip) -> dict[str, Path]:
    """The pictures that the report links to, by their path in the clip."""
    return {path.relative_to(clip.path).as_posix(): path for path in clip.path.glob("runs/*/*/worst-*.png")}
