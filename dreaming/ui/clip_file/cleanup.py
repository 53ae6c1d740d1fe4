"""The clean-up of a part's masks in the user's ``clip.yaml``, edited so that comments and everything else stay."""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings
from dreaming.imaging.cleanup import Cleanup
from dreaming.ui.clip_file.editing import edit_key, edit_settings, scalar
from dreaming.ui.user_files import check_version, version_of

Steps = Sequence[Mapping[str, Any]]
"""Steps as ``clip.yaml`` lists them, each a mapping of one name to a value."""


class CleanupFile:
    """Reads and writes the clean-up in one clip's ``clip.yaml``; the file that is replaced lies in ``trash/``.

    Args:
        lock: Held while the file is written.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def read(self, clip: Clip, part: str) -> tuple[Steps, str]:
        """Return a part's steps and the file's version.

        Raises:
            ClipError: If the file is damaged.
        """
        path = clip.path / "clip.yaml"
        return ClipSettings.read(path).cleanup.get(part, []), version_of(path)

    def write(self, clip: Clip, part: str, steps: Steps, expected: str) -> str:
        """Write a part's steps and return the file's version.

        Raises:
            ParameterError: If a step is not valid.
            FileChangedError: If the file on disk has another version.
            ClipError: If the file is damaged, or written in a way that cannot be edited here.
        """
        Cleanup.parse(f"cleanup: {part}", steps)
        with self._lock:
            check_version(clip.path / "clip.yaml", expected)
            before, _ = self.read(clip, part)
            if list(before) == list(steps):
                return expected
            cleanup = {**ClipSettings.read(clip.path / "clip.yaml").cleanup, part: [dict(step) for step in steps]}
            edit = partial(set_steps, part=part, steps=steps)
            return edit_settings(clip, expected, edit, of="a clean-up", one="part", cleanup=cleanup)


def set_steps(text: str, part: str, steps: Steps) -> str:
    """Return a ``clip.yaml`` with these steps of a part.

    Only lines of the key ``cleanup`` are written anew. A step that has the name of an earlier one keeps its comments.
    """

    def change(section: Any) -> Any:
        section = CommentedMap() if section is None else section
        section[part if part in section else scalar(part)] = _updated(section.get(part), steps)
        return section

    return edit_key(text, "cleanup", change)


def _updated(listed: Any, steps: Steps) -> Any:
    """A list of steps that keeps the entries of an earlier one, with their comments, where the names are the same."""
    if not isinstance(listed, CommentedSeq):
        listed = CommentedSeq()
        listed.fa.set_flow_style()
    entries, kept = list(listed), []
    for step in steps:
        ((name, value),) = step.items()
        entry = next((entry for entry in entries if list(entry) == [name]), None)
        if entry is None:
            entry = CommentedMap()
            if listed.fa.flow_style():
                entry.fa.set_flow_style()
        else:
            entries.remove(entry)
        if entry.get(name) != value:
            entry[name] = value
            if isinstance(value, list):
                entry[name] = CommentedSeq(value)
                entry[name].fa.set_flow_style()
        kept.append(entry)
    listed[:] = kept
    return listed
