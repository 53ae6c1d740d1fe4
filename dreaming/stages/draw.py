"""The ``draw`` stage: the built-in demo clip, as a user would hand it in, with its truth beside it."""

import logging
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.demo.scene import DemoScene, write_demo
from dreaming.errors import ClipError
from dreaming.io.manifest import Manifest, describe
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

RECORD = "draw.json"


@dataclass
class DrawStage(Stage):
    """Write ``source.mp4``, ``hand_masks/``, ``keyframes/painted/`` and ``truth/`` of the drawn clip.

    Attributes:
        scene: What is drawn.
        masks: Hand masks, spread over the clip.
        keyframes: Painted keyframes, spread over the clip.
    """

    kind: ClassVar[str] = "draw_stage"

    name: ClassVar[str] = "draw"

    scene: DemoScene = field(default_factory=DemoScene)
    masks: int = 5
    keyframes: int = 2

    def skips(self, clip: Clip) -> str | None:
        """A clip drawn before is left as it is."""
        found = Manifest.read(clip.path / RECORD)
        if found == self._manifest() and found.frames:
            return "the clip is drawn already"
        return None

    def _manifest(self) -> Manifest:
        return Manifest(self.name, self.version, describe(self), {})

    def run(self, clip: Clip) -> None:
        """Draw.

        Raises:
            ClipError: If the folder holds a clip of the user's own, or one drawn otherwise.
        """
        begun = Manifest.read(clip.path / RECORD) == self._manifest()
        if not begun and ((clip.path / "source.mp4").exists() or len(clip.frames) or clip.parts):
            raise ClipError(
                clip.path,
                found="a clip",
                expected="a folder to draw the built-in clip into",
                hint="name another folder, or delete this one",
            )
        # Without a count of frames the record says that drawing was begun: after a kill it is done again.
        self._manifest().write(clip.path / RECORD)
        write_demo(self.scene, clip.path, masks=self.masks, keyframes=self.keyframes)
        replace(self._manifest(), frames=self.scene.frames).write(clip.path / RECORD)
        log.info("draw: %d frames with sound, %d masks, %d keyframes", self.scene.frames, self.masks, self.keyframes)
