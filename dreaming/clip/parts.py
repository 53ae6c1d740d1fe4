"""The parts of a clip: objects with hand masks of their own."""

from collections.abc import Callable
from pathlib import Path

from dreaming.clip.annotations import SUBJECT
from dreaming.clip.split import MaskLayout
from dreaming.errors import ClipError
from dreaming.io.frame_folder import subfolders


def list_parts(root: Path, masks_in: Callable[[Path], MaskLayout]) -> list[str]:
    """Names of the parts that have hand masks.

    Args:
        root: The clip's folder.
        masks_in: Returns the hand masks in a folder.

    Raises:
        ClipError: If there are both parts and hand masks of a single subject.
    """
    folder = root / "parts"
    named, has_subject = subfolders(folder), masks_in(root).exists
    if named and has_subject:
        raise ClipError(
            folder,
            topic="two-layouts-of-masks",
            found="parts/ and hand masks of a single subject side by side",
            expected="one or the other",
            hint=f"move the single subject's masks to {folder / SUBJECT / 'hand_masks'}",
        )
    if not named:
        return [SUBJECT] if has_subject else []
    return [part for part in named if masks_in(folder / part).exists]
