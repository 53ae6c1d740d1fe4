"""What the page shows of a clip: its frames, hand masks, keyframes, predictions and suggestions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreaming.artifacts.record import read_record
from dreaming.clip.annotations import SUBJECT
from dreaming.clip.clip import Clip
from dreaming.errors import VideoError
from dreaming.io.frame_folder import FrameFolder, subfolders
from dreaming.io.prefetch import prefetch_map
from dreaming.video.metadata import VideoMetadata, extracted_numbers

DEFAULT_RATE = 25.0
"""Frames per second of a clip without a video."""


def parts_of(clip: Clip) -> list[str]:
    """Names of the clip's parts, also of those without hand masks yet."""
    return subfolders(clip.path / "parts") or [SUBJECT]


def masks_of(clip: Clip, part: str) -> dict[str, Path]:
    """The hand-mask files of a part by frame name, in any layout."""
    return {stem: path for folder in clip.mask_folders(part) for stem, path in folder.files.items()}


def predictions_of(clip: Clip, part: str) -> dict[str, FrameFolder]:
    """The folders of predicted masks of a part by masker; only those that hold some."""
    root = clip.masks(part, "any").path.parent
    folders = {name: clip.masks(part, name) for name in subfolders(root)}
    return {name: folder for name, folder in folders.items() if not folder.is_empty}


def describe_clip(clip: Clip) -> dict[str, Any]:
    """Everything that the page shows at its start, as plain data; lists files, and decodes one frame for the size.

    Raises:
        DreamingError: If the clip's folders contradict each other.
    """
    stems = clip.frames.stems
    known = set(stems)
    clip.parts  # noqa: B018 -- raises an error if there are two layouts of masks
    return {
        "name": clip.path.resolve().name,
        "path": str(clip.path.resolve()),
        "frames": stems,
        "size": list(clip.size) if stems else None,
        "rate": frame_rate(clip),
        "parts": [
            {
                "name": part,
                "masks": [stem for stem in masks_of(clip, part) if stem in known],
                "maskers": list(predictions_of(clip, part)),
                "suggestions": [stem for stem in _suggestions(clip).get(part, []) if stem in known],
            }
            for part in parts_of(clip)
        ],
        "keyframes": {
            name: [stem for stem in FrameFolder(clip.path / "keyframes" / name).stems if stem in known]
            for name in subfolders(clip.path / "keyframes")
        },
    }


def frame_rate(clip: Clip) -> float:
    """Frames per second at which the extracted frames play at the speed of the video."""
    record = read_record(clip.source)
    try:
        rate = float(VideoMetadata.from_json(record, clip.source).rate)
    except VideoError:
        return DEFAULT_RATE
    numbers = extracted_numbers(record)
    return rate / numbers.step if numbers else rate


def _suggestions(clip: Clip) -> Mapping[str, list[str]]:
    """Names of the frames that ``suggest`` recommends to paint, by part; none if its file is damaged."""
    record = read_record(clip.path / "suggestions.json") or {}
    return {
        part: [str(entry.get("frame")) for entry in entries if isinstance(entry, dict)]
        for part, entries in record.items()
        if isinstance(entries, list)
    }


class EmptyMasks:
    """Finds hand masks without foreground; a file is decoded again only after it changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], bool] = {}

    def find(self, clip: Clip, part: str) -> list[str]:
        """Names of the frames of which a part's hand mask is empty."""
        masks = [(stem, folder) for folder in clip.mask_folders(part) for stem in folder.stems]
        return [stem for stem, empty in prefetch_map(self._is_empty, masks, 2) if empty]

    def _is_empty(self, mask: tuple[str, FrameFolder]) -> tuple[str, bool]:
        stem, folder = mask
        path = folder.files[stem]
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._known:
            self._known[key] = not folder.read_painted_mask(stem).any()
        return stem, self._known[key]
