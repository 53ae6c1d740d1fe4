"""The cuts in the user's ``clip.yaml``, edited so that comments and everything else in the file stay."""

import re
import threading
from collections.abc import Collection, MutableSequence, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedSeq

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings
from dreaming.clip.shots import detected_shots, named_frames
from dreaming.ui.clip_file.editing import edit_key, edit_settings, scalar
from dreaming.ui.user_files import check_version, version_of


class ShotFile:
    """Reads the shots of one clip, and writes them to its ``clip.yaml``; the file that is replaced lies in ``trash/``.

    Args:
        lock: Held while the file is written.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def read(self, clip: Clip) -> tuple[Sequence[str] | None, str]:
        """Return the first frames of shots after the first one, None before cuts are detected, and the file's version.

        Raises:
            ClipError: If the file is damaged, or names a frame that does not exist.
        """
        path, stems = clip.path / "clip.yaml", clip.frames.stems
        version, named = version_of(path), ClipSettings.read(path).shots
        firsts = detected_shots(clip.path) if named is None else named_frames(path, stems, named)
        return None if firsts is None else [stem for stem in stems[1:] if stem in set(firsts)], version

    def write(self, clip: Clip, firsts: Sequence[str], expected: str) -> str:
        """Write the first frames of shots after the first one, and return the file's version.

        Raises:
            FileChangedError: If the file on disk has another version.
            ClipError: If a frame does not exist, or the file is damaged or cannot be edited here.
        """
        path, stems = clip.path / "clip.yaml", clip.frames.stems
        wanted = set(named_frames(path, stems, firsts)) - set(stems[:1])
        with self._lock:
            check_version(path, expected)
            listed = ClipSettings.read(path).shots
            edit = partial(update, path=path, stems=stems, wanted=wanted)
            shots = edit(list(listed or []))
            if shots == listed:
                return expected

            def change(value: Any) -> Any:
                if not isinstance(value, CommentedSeq):
                    value = CommentedSeq()
                    value.fa.set_flow_style()
                return edit(value)

            set_shots = partial(edit_key, key="shots", change=change)
            return edit_settings(clip, expected, set_shots, of="shots", one="shot", shots=shots)


def update(
    listed: MutableSequence[int | str], path: Path, stems: Sequence[str], wanted: Collection[str]
) -> MutableSequence[int | str]:
    """Add and remove entries of a list of first frames, in place, so that others keep their comments.

    An empty list gets the clip's first frame as well, if any other is wanted. That of a list stays.
    """
    found = named_frames(path, stems, listed)
    order = {stem: index for index, stem in enumerate(stems)}
    kept = {*wanted, *(stems[:1] if wanted else ())}
    for index in reversed(range(len(found))):
        if found[index] not in kept:
            del listed[index], found[index]
    for stem in sorted(kept - set(found) - (set(stems[:1]) if found else set()), key=order.__getitem__):
        index = next((n for n, other in enumerate(found) if order[other] > order[stem]), len(found))
        listed.insert(index, _entry(path, stems, stem))
        found.insert(index, stem)
    return listed


def _entry(path: Path, stems: Sequence[str], stem: str) -> int | str:
    """A frame's number if that names no other frame, else its name."""
    digits = re.search(r"\d{1,9}$", stem)
    return int(digits[0]) if digits and named_frames(path, stems, [int(digits[0])]) == [stem] else scalar(stem)
