"""The ``draw`` stage: the built-in demo clip, as a user would provide it, with ground truth."""

import logging
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dreaming.artifacts.fingerprint import describe
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeInt
from dreaming.demo.clip_writer import write_demo
from dreaming.demo.painters import PainterName
from dreaming.demo.scene import DemoScene
from dreaming.errors import ClipError
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

RECORD = "draw.json"

MADE_BEFORE = ("runs", ".locks")
"""Folders that a run makes in a new clip before its first stage."""


@dataclass
class DrawStage(Stage):
    """Write ``source.mp4``, ``hand_masks/``, ``keyframes/painted/`` and ``truth/`` of the demo clip.

    Hand masks and painted keyframes are spread evenly over the clip.

    Attributes:
        painter: Kind of painting of the keyframes.
        background: That of the background, which is then a layer of its own; None: one layer, the dancer.
    """

    name: ClassVar[str] = "draw"
    reads: ClassVar[tuple[str, ...]] = ()

    scene: DemoScene = field(default_factory=DemoScene)
    masks: NonNegativeInt = 5
    keyframes: NonNegativeInt = 2
    painter: PainterName = "oil"
    background: PainterName | None = None

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip that is up to date."""
        record = Manifest.read(clip.path / RECORD)
        if record == self._manifest() and record.frames:
            return "up to date"
        return None

    def _manifest(self) -> Manifest:
        return Manifest(self.name, self.version, describe(self), {})

    def run(self, clip: Clip) -> None:
        """Draw the clip.

        Raises:
            ClipError: If the folder holds a clip of the user, or one drawn with another config.
        """
        is_started = Manifest.read(clip.path / RECORD) == self._manifest()
        others = [path for path in clip.path.glob("*") if path.name not in MADE_BEFORE]
        if not is_started and others:
            raise ClipError(
                clip.path,
                found=f"another clip ({others[0].name})",
                expected="an empty or new folder for the demo clip",
                hint="choose another folder, or delete this one",
            )
        # A record without a number of frames marks an unfinished clip, so a later run repeats it.
        self._manifest().write(clip.path / RECORD)
        write_demo(
            self.scene,
            clip.path,
            masks=self.masks,
            keyframes=self.keyframes,
            painter=self.painter,
            background=self.background,
        )
        replace(self._manifest(), frames=self.scene.frames).write(clip.path / RECORD)
        log.info("draw: %d frames with sound, %d masks, %d keyframes", self.scene.frames, self.masks, self.keyframes)
