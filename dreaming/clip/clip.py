"""The clip folder: the paths of everything that belongs to one video."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.record import read_record
from dreaming.clip.annotations import SUBJECT, Keyframes, References
from dreaming.clip.config import ClipSettings, Layer
from dreaming.clip.empty_masks import EmptyMaskIndex
from dreaming.clip.frame_digests import fingerprint_frames
from dreaming.clip.keyframe_folder import KeyframeFolder
from dreaming.clip.layers import layers_of, painted_folders
from dreaming.clip.listings import Listings
from dreaming.clip.parts import list_parts
from dreaming.clip.shots import Shots, find_shots
from dreaming.clip.split import MaskLayout, Split, Validation, write_split
from dreaming.errors import FrameError
from dreaming.io.frame_folder import FrameFolder, natural_key, subfolders
from dreaming.io.locks import lock
from dreaming.io.types import Mask, Size
from dreaming.video.metadata import skipped_stems

log = logging.getLogger(__name__)

EXTRACT = "extract"
"""Maker in the manifest of frames that the stage of this name wrote."""


@dataclass(frozen=True)
class Clip:
    """One video's folder: the user's files, and the paths of what dreaming makes.

    Attributes:
        path: The folder.
        validation: Whether some hand masks are held out.
        preview_dirs: Folders such as ``composite`` that stay as they are; the one in ``preview/`` is used instead.
    """

    path: Path
    validation: Validation = "auto"
    preview_dirs: frozenset[str] = frozenset()

    @cached_property
    def settings(self) -> ClipSettings:
        """The settings in the user's ``clip.yaml``, with names as those of the folders."""
        settings = ClipSettings.read(self.path / "clip.yaml")
        return settings.with_names(subfolders(self.path / "parts"), subfolders(self.path / "keyframes"))

    @cached_property
    def frames(self) -> FrameFolder:
        """The frames: the user's own, or written by ``extract``."""
        return FrameFolder(self.path / "frames", over_black=True)

    @property
    def stems(self) -> list[str]:
        """Names of all frames, in order.

        Raises:
            FrameError: If there are none.
        """
        self._require_frames()
        return self.frames.stems

    @property
    def size(self) -> Size:
        """(height, width) of the frames in pixels."""
        self._require_frames()
        return self.frames.size

    def _require_frames(self) -> None:
        if not len(self.frames):
            raise FrameError(
                self.frames.path, topic="no-frames", found="no frames", expected="png, jpg, tif or webp pictures",
                hint="put the frames there or name a video with video=FILE",
            )  # fmt: skip

    @property
    def frames_are_made(self) -> bool:
        """Whether ``extract`` wrote the frames; otherwise they are the user's, and never changed."""
        made = Manifest.read(self.frames.path / MANIFEST)
        return made is not None and made.maker == EXTRACT  # another program's manifest may lie there

    @property
    def source(self) -> Path:
        """``source.json``: metadata of the video."""
        return self.path / "source.json"

    @cached_property
    def skipped_frames(self) -> frozenset[str]:
        """Names of the video's frames that were not extracted; annotations of them are ignored."""
        return skipped_stems(read_record(self.source)) if self.frames_are_made else frozenset()

    @cached_property
    def frames_fingerprint(self) -> str:
        """Fingerprint of the frames: of their manifest if ``extract`` wrote them, otherwise of their contents."""
        made = Manifest.read(self.frames.path / MANIFEST) if self.frames_are_made else None
        stems = self.stems
        if made is not None:
            return fingerprint(made.fingerprint, stems)
        return fingerprint_frames(self.path, list(self.frames.files.values()))

    @property
    def sequence_fingerprint(self) -> str:
        """Fingerprint of the frames and their shots, for results that depend on neighbouring frames."""
        return self.frames_fingerprint if len(self.shots) == 1 else fingerprint(self.frames_fingerprint, *self.shots)

    @cached_property
    def shots(self) -> Shots:
        """The shots named in ``clip.yaml``, or between detected cuts, which ``shots.json`` records.

        Raises:
            ClipError: If ``clip.yaml`` names a frame that the clip has not.
        """
        with self.lock("shots", "shots: waiting for another process that detects them"):
            return find_shots(self.path, self.frames, self.frames_fingerprint, self.settings.shots)

    def refresh(self) -> None:
        """Discard the cached listing of the frames, their fingerprint and shots, after other code changed them."""
        self.frames.refresh()
        for name in ("shots", "frames_fingerprint"):
            self.__dict__.pop(name, None)

    @cached_property
    def listings(self) -> Listings:
        """What the user's folders contain; while ``listings.hold()`` is entered, they are listed once."""
        return Listings()

    # -- parts and their hand masks

    @property
    def parts(self) -> list[str]:
        """Names of the parts that have hand masks, see ``list_parts``."""
        return list(self.listings.get("parts", lambda: list_parts(self.path, self._masks_in)))

    def _layout(self, part: str) -> MaskLayout:
        inside = self.path / "parts" / part
        return self._masks_in(inside if self.listings.get(("is a folder", part), inside.is_dir) else self.path)

    def _masks_in(self, root: Path) -> MaskLayout:
        return self.listings.get(("masks", root), lambda: MaskLayout(root, self.frames, self.skipped_frames))

    def mask_folders(self, part: str) -> list[FrameFolder]:
        """All folders of hand masks of ``part``."""
        return self._layout(part).folders

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """The use of each part's hand masks, decided once, so that it holds for a whole run."""
        layouts = {part: self._layout(part) for part in self.parts}
        return {
            part: layout.split(self.validation, partial(self._empty_masks.of, part, layout))
            for part, layout in layouts.items()
        }

    def record_splits(self) -> None:
        """Write the splits to ``split.json``."""
        write_split(self.path / "split.json", self.splits)

    def split(self, part: str) -> Split:
        """The use of each hand mask of ``part``."""
        return self.splits[part]

    @cached_property
    def _empty_masks(self) -> EmptyMaskIndex:
        return EmptyMaskIndex(self.path)

    def references(self, part: str, stems: Iterable[str]) -> References:
        """The named hand-masked frames of ``part``, in memory.

        A mask without foreground means that the part is absent from its frame, if another mask has foreground.

        Raises:
            MaskError: If all masks of the part are empty, or one has no frame.
            SizeError: If a mask or frame is not of the clip's size.
        """
        wanted, layout = set(stems), self._layout(part)
        pairs = [pair for pair in layout.pairs() if pair[0] in wanted]
        pairs.sort(key=lambda pair: natural_key(pair[0]))
        images = [frames.read(stem, self.size) for stem, frames, _ in pairs]
        masks = [self._empty_masks.read(part, layout, painted, stem, self.size) for stem, _, painted in pairs]
        if not pairs:
            return References((), np.empty((0, *self.size, 3), np.uint8), np.empty((0, *self.size), bool), part)
        return References(tuple(stem for stem, _, _ in pairs), np.stack(images), np.stack(masks), part)

    def bootstrap(self, part: str) -> References:
        """The hand-masked frames of ``part`` that only background subtraction is trained on, in memory."""
        return self.references(part, self.splits[part].bootstrap if part in self.splits else ())

    def training_references(self, part: str) -> References:
        """The hand-masked frames of ``part`` that maskers are trained on, in memory.

        Raises:
            MaskError: If none of their masks has any foreground, or any background.
        """
        references = self.references(part, self.split(part).nn)
        references.check_trainable(self.path)
        return references

    def hand_masks(self, part: str) -> Iterator[tuple[str, Mask, str]]:
        """Yield each hand mask's path within the clip, the mask (H, W), and how it was read, if in an unusual way."""
        for stem, _, masks in sorted(self._layout(part).pairs(), key=lambda pair: natural_key(pair[0])):
            yield str(masks.files[stem].relative_to(self.path)), *masks.interpret_mask(stem, self.size)

    def hand_mask(self, part: str, stem: str) -> Mask | None:
        """The hand mask of one frame, if there is one."""
        layout = self._layout(part)
        for name, _, painted in layout.pairs():
            if name == stem:
                return self._empty_masks.read(part, layout, painted, stem, self.size)
        return None

    # -- layers and their keyframes

    @property
    def layers(self) -> list[Layer]:
        """The layers that have keyframes, bottom to top.

        Raises:
            ClipError: If clip.yaml names a part that has no masks, or misspells a folder of keyframes; if keyframes lie
                outside a layer's folder; or if there is more than one way to read the folders.
        """
        painted = self.listings.get("layers", lambda: painted_folders(self.path / "keyframes"))
        return layers_of(self.path, painted, self.parts, self.settings.layers)

    def keyframe_folder(self, layer: Layer) -> FrameFolder:
        """The stylised keyframes of a layer."""
        return self._user_folder(self.path / "keyframes" / layer.folder)

    def keyframe_masks(self, layer: Layer) -> FrameFolder:
        """The user's masks of the painted part of keyframes; optional."""
        return self._user_folder(self.path / "keyframes" / layer.folder / "masks")

    def _user_folder(self, path: Path) -> FrameFolder:
        return self.listings.get(path, lambda: FrameFolder(path, exclude=self.skipped_frames))

    def keyframes(self, layer: Layer, frames: FrameFolder | None = None) -> Keyframes:
        """A layer's keyframes in memory, with the frames they are painted on.

        Args:
            layer: The layer.
            frames: Folder to read the frames from, such as ``filtered``; None: the clip's own.

        Raises:
            KeyframeError: If a keyframe has no frame of its name, it is not painted anywhere, or there are none.
            SizeError: If a keyframe has another size than its frame.
        """
        return self.masked_keyframes(layer).read(self.frames, frames or self.frames, self.size)

    def masked_keyframes(self, layer: Layer) -> KeyframeFolder:
        """The keyframes of a layer on disk, with their masks."""
        return KeyframeFolder(self.keyframe_folder(layer), self.keyframe_masks(layer))

    # -- what dreaming makes

    @property
    def filtered(self) -> FrameFolder:
        """The temporally smoothed frames."""
        return FrameFolder(self.path / "filtered")

    def masks(self, part: str, masker: str) -> FrameFolder:
        """8-bit foreground probability of each frame."""
        middle = () if self.parts in ([SUBJECT], []) else (part,)
        return FrameFolder(self.path.joinpath("masks", *middle, masker))

    def mattes(self, part: str, masker: str) -> FrameFolder:
        """16-bit alpha matte of each frame."""
        masks = self.masks(part, masker).path
        return FrameFolder(self.path / "mattes" / masks.relative_to(self.path / "masks"))

    def guides(self, layer: Layer) -> Path:
        """The folder of a layer's guides, with a folder for each."""
        return self.path / "guides" / layer.name

    def styled(self, layer: Layer) -> FrameFolder:
        """The stylised frames of a layer."""
        return self._made(f"styled/{layer.name}")

    @property
    def composite(self) -> FrameFolder:
        """The composited layers."""
        return self._made("composite")

    def _made(self, name: str) -> FrameFolder:
        return FrameFolder(self.path / "preview" / name if name in self.preview_dirs else self.path / name)

    def runs(self, name: str) -> Path:
        """Run folders of one model."""
        return self.path / "runs" / name

    def lock(self, name: str, waiting: str) -> AbstractContextManager[None]:
        """Hold the clip's lock of this name, a relative path; ``waiting`` is logged if another process holds it."""
        return lock(self.path, name, waiting)
