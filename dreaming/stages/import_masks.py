"""The ``import`` stage: hand masks from the files of annotation programs."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.clip.split import MaskLayout
from dreaming.errors import ClipError, MaskError, SizeError
from dreaming.imports.annotation import Annotation, Annotations
from dreaming.imports.frame_names import match_frames
from dreaming.imports.reader import read_annotations
from dreaming.io.atomic import refuse_links, write_atomically
from dreaming.io.file_pattern import NAME_HINT, is_portable_name, name_key
from dreaming.io.frame_folder import FrameFolder, subfolders
from dreaming.io.image import encode_png
from dreaming.io.types import Mask
from dreaming.progress import bar
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

MAX_LABELS = 64


@dataclass
class ImportStage(Stage):
    """Write the masks of a file or folder of another program to ``hand_masks/``, or with several labels to ``parts/``.

    Everything is read and drawn before the first mask is written. Masks that exist stay as they are: with other
    contents they are an error, and nothing is imported.

    Attributes:
        source: The file or folder; None: nothing to import.
    """

    name: ClassVar[str] = "import"

    source: Path | None = field(default=None, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        self.shard = Shard()

    def skips(self, clip: Clip) -> str | None:
        """Skip if there is nothing to import."""
        return "import= is not set" if self.source is None else None

    def run(self, clip: Clip) -> None:
        """Read the annotations, and write those that are new.

        Raises:
            MaskError: If the annotations are not understood, or name other frames.
            SizeError: If they were made on pictures of another size than the frames.
            ClipError: If a mask exists with other contents, or the clip's masks are laid out in another way.
        """
        assert self.source is not None
        source = Path(self.source)
        found = read_annotations(source)
        groups = _by_label_and_frame(clip, source, found)
        folders = _folders(clip, source, list(groups))
        pictures: dict[Path, bytes] = {}
        empty = known = 0
        with clip.lock("import", "import: waiting for another process that imports"):
            with bar("import", sum(map(len, groups.values()))) as progress:
                for label, masks in groups.items():
                    for stem, objects in masks.items():
                        mask = _draw(clip, objects)
                        empty += not mask.any()
                        if _is_new(folders[label], stem, mask, clip):
                            pictures[folders[label].path / f"{stem}.png"] = encode_png(mask.astype(np.uint8) * 255)
                        else:
                            known += 1
                        progress.advance()
            refuse_links(clip.path / "parts", *(folder.path for folder in folders.values()))
            for path, png in pictures.items():
                write_atomically(path, png, replace=_create)
        for label, folder in folders.items():
            log.info("import: %s: %d masks in %s", label, len(groups[label]), folder.path)
        if empty:
            log.info("import: %d of the masks are empty: their frames do not show the object", empty)
        if known:
            log.info("import: %d of the masks existed already", known)


def _by_label_and_frame(clip: Clip, source: Path, found: Annotations) -> Mapping[str, Mapping[str, list[Annotation]]]:
    """The objects of each label in each frame, in order; of densely annotated frames also the empty ones."""
    for each in found.objects:
        if each.size != clip.size:
            raise SizeError(each.where, found=each.size, expected=clip.size, hint="annotate the clip's own frames")
    if not found.objects:
        raise MaskError(source, found=f"no objects ({found.format})", expected="at least one mask")
    images = [*found.dense, *(each.image for each in found.objects)]
    if len(set(found.dense)) < len(found.dense):
        raise MaskError(source, found="two pictures of the same name", expected="one for each frame")
    frames = match_frames(images, clip.stems, source, counts_from_zero=found.counts_from_zero)
    if renamed := [name for name in frames if frames[name] != name]:
        log.info("import: images are matched by their numbers: %s is frame %s", renamed[0], frames[renamed[0]])
    labels = sorted({each.label for each in found.objects})
    if len(labels) > MAX_LABELS:
        raise MaskError(source, found=f"{len(labels)} labels", expected=f"at most {MAX_LABELS}")
    groups: dict[str, dict[str, list[Annotation]]] = {
        label: {frames[name]: [] for name in found.dense} for label in labels
    }
    for each in found.objects:
        groups[each.label].setdefault(frames[each.image], []).append(each)
    return groups


def _folders(clip: Clip, source: Path, labels: list[str]) -> Mapping[str, FrameFolder]:
    """The folder of each label's hand masks: ``hand_masks/`` for a single one in a clip without parts."""
    for label in labels:
        if not is_portable_name(label) or len(label.encode()) > 100:
            raise MaskError(source, found=f"the label {label[:50]!r}", expected="a folder's name", hint=NAME_HINT)
    parts = subfolders(clip.path / "parts")
    if len({name_key(label) for label in {*labels, *parts}}) < len({*labels, *parts}):
        raise MaskError(source, found="labels that differ only in case", expected="different names of folders")
    single = len(labels) == 1 and not parts
    roots = {label: clip.path if single else clip.path / "parts" / label for label in labels}
    subject = MaskLayout(clip.path, clip.frames)
    if not single and subject.exists:
        raise ClipError(
            clip.path,
            found=f"hand masks of a single subject, and labels {', '.join(labels)}",
            expected="parts",
            hint=f"move the masks to {clip.path / 'parts' / 'NAME' / 'hand_masks'}",
        )
    for root in roots.values():
        if MaskLayout(root, clip.frames).explicit:
            raise ClipError(
                root,
                found="nn/ or ensemble/",
                expected="hand_masks/, to which masks are imported",
                hint="import into a copy of the clip, and assign the masks yourself",
            )
    return {label: FrameFolder(root / "hand_masks") for label, root in roots.items()}


def _draw(clip: Clip, objects: Iterable[Annotation]) -> Mask:
    mask = np.zeros(clip.size, np.bool_)
    for each in objects:
        mask |= each.draw()
    return mask


def _is_new(folder: FrameFolder, stem: str, mask: Mask, clip: Clip) -> bool:
    """Whether there is no mask of this frame; an equal one is none."""
    if stem not in folder:
        return True
    if np.array_equal(folder.read_painted_mask(stem, clip.size), mask):
        return False
    raise ClipError(
        folder.files[stem],
        found="a hand mask that differs from the one to import",
        expected="none, because hand masks are never overwritten",
        hint="move it away to import the other one",
    )


def _create(temporary: Path, path: Path) -> None:
    """Rename a finished file, unless one of its name has appeared meanwhile."""
    if path.exists():
        raise ClipError(path, found="a hand mask that was written meanwhile", expected="none", hint="import again")
    temporary.replace(path)
