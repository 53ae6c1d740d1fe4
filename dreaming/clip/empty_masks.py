"""Hand masks without foreground, which mean that the subject is not in their frame."""

import logging
from collections.abc import Mapping
from pathlib import Path

from dreaming.clip.split import MaskLayout
from dreaming.errors import MaskError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Mask, Size

log = logging.getLogger(__name__)


class EmptyMaskIndex:
    """The masks without foreground of a clip's parts; each part is searched once and logged once.

    Args:
        root: The clip's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_part: dict[tuple[str, ...], Mapping[str, Path]] = {}
        self._logged: set[str] = set()

    def of(self, part: str, layout: MaskLayout) -> Mapping[str, Path]:
        """Return the empty masks of a part by name; none if all its masks are empty."""
        key = (part, *(stem for folder in layout.folders for stem in folder.stems))
        if key not in self._by_part:
            self._by_part[key] = layout.absent()
        return self._by_part[key]

    def read(self, part: str, layout: MaskLayout, masks: FrameFolder, stem: str, size: Size) -> Mask:
        """One hand mask (H, W).

        Raises:
            MaskError: If no mask of the part has any foreground.
            SizeError: If it has another size.
        """
        mask = masks.read_painted_mask(stem, size)
        if mask.any():
            return mask
        absent = self.of(part, layout)
        if not absent:
            raise MaskError(
                masks.files[stem],
                topic="black-masks",
                found="a mask without any foreground",
                expected="white on the subject and black elsewhere",
                hint="paint it again or remove it",
            )
        if part not in self._logged:
            self._logged.add(part)
            files = ", ".join(str(path.relative_to(self._root)) for path in absent.values())
            # A warning, because it may be a mistake.
            log.warning("no foreground in %s: the %s counts as absent from these frames", files, part)
        return mask
