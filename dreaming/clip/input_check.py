"""Checks of the user's images in a clip folder, made before any stage spends time on them."""

import logging
import os
import re
from collections import Counter

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, FrameError
from dreaming.io.file_pattern import NAME_HINT, is_portable_name
from dreaming.io.frame_folder import FrameFolder, subfolders
from dreaming.io.picture_check import check_pictures

log = logging.getLogger(__name__)

FEW = 0.2
"""Largest share of frames that are taken for a mistake, because their names have another form than the others'."""

LONGEST_STEM = 240
"""Bytes of a frame's name; file systems allow 255 with suffixes such as ``.png.kept-1``."""
LONGEST_NAME = 200
"""Bytes of the name of a part or layer, which some results repeat beside another name."""


def check_inputs(clip: Clip) -> None:
    """Check the frames, hand masks and keyframes of a clip by listing them and reading their headers.

    Raises:
        FrameError: If a file cannot be opened or is of a kind that is not read, or if there are other pictures among
            extracted frames.
        SizeError: If an image has another size than the frames.
        ClipError: If the folders contradict each other, hand masks lie in ``masks/``, or a name is too long
            or not allowed on every system.
    """
    _check_frames(clip)
    _check_misplaced(clip)
    _check_names(clip)
    if not len(clip.frames):
        return
    folders = {folder.path: folder for part in clip.parts for folder in clip.mask_folders(part)}
    for path in (clip.path / "hand_masks", *sorted(clip.path.glob("parts/*/hand_masks"))):
        folders.setdefault(path, FrameFolder(path))  # without a picture that is read, it counts as no part
    for folder in folders.values():
        check_pictures(folder, clip.size)
    for name in subfolders(clip.path / "keyframes"):
        for path in (clip.path / "keyframes" / name, clip.path / "keyframes" / name / "masks"):
            check_pictures(FrameFolder(path, exclude=clip.skipped_frames), clip.size)


def _check_names(clip: Clip) -> None:
    names = [(clip.frames.files[stem], stem, LONGEST_STEM) for stem in clip.frames.stems]
    names += [(clip.path / "parts" / part, part, LONGEST_NAME) for part in clip.parts]
    names += [(clip.path / "styled" / layer.name, layer.name, LONGEST_NAME) for layer in clip.layers]
    for path, name, longest in names:
        if len(os.fsencode(name)) > longest:
            found = f"a name of {len(os.fsencode(name))} bytes"
            raise ClipError(path, found=found, expected=f"at most {longest} bytes", hint="use a shorter name")
        if longest == LONGEST_NAME and not is_portable_name(name):
            raise ClipError(
                path, found=f"the name {name!r}", expected="a name that every system allows", hint=NAME_HINT
            )


def _check_frames(clip: Clip) -> None:
    check_pictures(clip.frames)
    made = Manifest.read(clip.frames.path / MANIFEST)
    ours = set(made.stems) if made is not None else set()
    if not ours:
        _warn_of_unlike_names(clip.frames)
    extra = [stem for stem in clip.frames.stems if stem not in ours] if ours else []
    if extra:
        raise FrameError(
            clip.frames.files[extra[0]],
            found="a picture among extracted frames" + (f", and {len(extra) - 1} more" if len(extra) > 1 else ""),
            expected="only the frames that the extract stage wrote",
            hint="move it elsewhere",
        )


def _warn_of_unlike_names(frames: FrameFolder) -> None:
    """Warn of a few frames whose names differ from the others' by more than digits, such as ``0001 copy``."""
    forms = {stem: re.sub(r"\d+", "0", stem) for stem in frames.stems}
    common = Counter(forms.values()).most_common(1)
    unlike = [stem for stem, form in forms.items() if form != common[0][0]]
    if 0 < len(unlike) <= FEW * len(forms):
        log.warning(
            "%s is taken for a frame, although its name is unlike the others'%s; move it elsewhere if it is none",
            frames.files[unlike[0]], f", and {len(unlike) - 1} more" if len(unlike) > 1 else "",
        )  # fmt: skip


def _check_misplaced(clip: Clip) -> None:
    """Refuse hand masks in ``masks/``, which is for results."""
    root = clip.path / "masks"
    inside = [] if clip.parts else [root / name for name in subfolders(root)]
    for folder in (FrameFolder(root), *map(FrameFolder, inside)):
        if len(folder) and not (folder.path / MANIFEST).exists():
            raise ClipError(
                folder.path,
                topic="masks-among-the-results",
                found=f"{len(folder)} pictures that dreaming did not write ({folder.stems[0]}, ...)",
                expected="results only; hand masks belong in hand_masks/",
                hint=f"move them to {clip.path / 'hand_masks'}",
            )
