"""CVAT's segmentation masks: ``labelmap.txt`` with a colour for each label, and ``SegmentationClass/``."""

import re
from functools import partial
from pathlib import Path

import numpy as np

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotation, Annotations
from dreaming.imports.picture import read_colours, read_size
from dreaming.io.types import Mask, Size

LABELS = "labelmap.txt"
BACKGROUND = "background"
MAX_BYTES = 100_000

_LINE = re.compile(r"([^:#]+):(\d{1,3}),(\d{1,3}),(\d{1,3}):[^:]*:[^:]*")
_VIDEO_FRAME = re.compile(r"frame_\d{6,}")
"""Name of a video's frame in CVAT, which counts from 0."""


def read_cvat(folder: Path) -> Annotations:
    """Read an unpacked export "Segmentation mask 1.1".

    Raises:
        MaskError: If the labels or colours are not understood.
    """
    labels = _read_labels(folder / LABELS)
    root = folder / "SegmentationClass"
    paths = sorted(root.rglob("*.png")) if root.is_dir() else []
    if not paths:
        raise MaskError(root, found="no pictures", expected="the masks of CVAT's export", hint="unpack all of it")
    objects: list[Annotation] = []
    for path in paths:
        size = read_size(path)
        colours = np.unique(read_colours(path, size).reshape(-1, 3), axis=0)
        for colour in map(tuple, colours.tolist()):
            if colour not in labels:
                raise MaskError(path, found=f"the colour {colour}", expected=f"colours that {LABELS} lists")
            if labels[colour] != BACKGROUND:
                where = f"{path}, label {labels[colour]}"
                objects.append(Annotation(labels[colour], path.stem, size, where, partial(_draw, path, size, colour)))
    names = tuple(path.stem for path in paths)
    return Annotations("CVAT", tuple(objects), names, all(_VIDEO_FRAME.fullmatch(name) for name in names))


def _read_labels(path: Path) -> dict[tuple[int, ...], str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise MaskError(path, found=f"a file that cannot be read ({error})", expected="CVAT's labels") from None
    labels: dict[tuple[int, ...], str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        colour = tuple(map(int, match.groups()[1:])) if match else ()
        if match is None or max(colour) > 255 or colour in labels:
            raise MaskError(
                path, found=f"the line {line[:60]!r}", expected="label:red,green,blue:: and one colour each"
            )
        labels[colour] = match[1].strip()
    labels.setdefault((0, 0, 0), BACKGROUND)
    return labels


def _draw(path: Path, size: Size, colour: tuple[int, ...]) -> Mask:
    mask: Mask = (read_colours(path, size) == np.array(colour, np.uint8)).all(axis=2)
    return mask
