"""The shots of a clip: the frames between cuts, which alone are propagated, smoothed and compared with each other."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from dreaming.artifacts.record import read_known_record, write_record
from dreaming.clip.shot_detection import VERSION, ReducedFrame, find_cuts
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder
from dreaming.progress import bar

log = logging.getLogger(__name__)

RECORD = "shots.json"

DETECTED = f"detection {VERSION}"
"""Origin of detected shots, in ``shots.json``; that of others is ``clip.yaml``."""


@dataclass(frozen=True)
class Shots:
    """The shots of a clip, in order; iterating yields the names of the frames of each.

    Attributes:
        stems: Names of all frames, in order.
        firsts: Names of the first frames of shots; that of the first shot may be missing.
    """

    stems: Sequence[str]
    firsts: Collection[str] = ()

    @cached_property
    def _ranges(self) -> list[range]:
        firsts = set(self.firsts)
        starts = [index for index, stem in enumerate(self.stems) if not index or stem in firsts]
        return [range(*pair) for pair in pairwise([*starts, len(self.stems)])]

    @cached_property
    def _positions(self) -> Mapping[str, tuple[int, range]]:
        """Index of each frame, and the indices of its shot."""
        return {self.stems[index]: (index, shot) for shot in self._ranges for index in shot}

    def __iter__(self) -> Iterator[Sequence[str]]:
        return (self.stems[shot.start : shot.stop] for shot in self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def __contains__(self, stem: object) -> bool:
        return stem in self._positions

    def index(self, stem: str) -> int:
        """Index of a frame in the clip."""
        return self._positions[stem][0]

    def of(self, stem: str) -> Sequence[str]:
        """Names of the frames of the shot that a frame belongs to."""
        shot = self._positions[stem][1]
        return self.stems[shot.start : shot.stop]

    def around(self, stem: str, radius: int) -> range:
        """Indices, in the clip, of the frames at most ``radius`` frames away from a frame, within its shot."""
        index, shot = self._positions[stem]
        return range(max(index - radius, shot.start), min(index + radius + 1, shot.stop))

    def joined(self, one: str, other: str) -> bool:
        """Whether two frames belong to one shot; False for pictures that are no frames."""
        return one in self and other in self and self._positions[one][1] == self._positions[other][1]

    @property
    def pairs(self) -> list[str]:
        """Names of all pairs of neighbouring frames without a cut between them: their earlier frames."""
        return [stem for shot in self for stem in shot[:-1]]

    def without(self, references: Collection[str]) -> list[str]:
        """Describe the shots that contain none of these frames, such as "0001 to 0045"."""
        return [f"{shot[0]} to {shot[-1]}" for shot in self if not set(references).intersection(shot)]

    def warn_without(self, references: Collection[str], owner: str, kind: str) -> None:
        """Warn once of all shots that contain none of the named frames, unless there is a single shot.

        Args:
            references: Names of frames.
            owner: The part or layer that they belong to.
            kind: What they are, such as "hand mask".
        """
        missing = self.without(references) if len(self) > 1 else []
        if missing:
            log.warning(
                "%s: no %s in %d of %d shots: %s; nothing is propagated across cuts",
                owner, kind, len(missing), len(self), ", ".join(missing),
            )  # fmt: skip


def find_shots(folder: Path, frames: FrameFolder, fingerprint: str, named: Sequence[int | str] | None) -> Shots:
    """Return the shots of a clip, and write them to ``shots.json`` in its folder.

    Args:
        folder: The clip's folder.
        frames: Its frames.
        fingerprint: Of the frames.
        named: Names or numbers of the first frames of shots, from ``clip.yaml``; None: cuts are detected.

    Raises:
        ClipError: If a named frame does not exist.
    """
    path, stems = folder / RECORD, frames.stems
    if len(stems) < 2:
        return Shots(stems)
    record = _recorded(path)
    origin = DETECTED if named is None else "clip.yaml"
    if named is None and record is not None and (record["frames"], record["origin"]) == (fingerprint, origin):
        return Shots(stems, record["shots"])
    firsts = _detected(frames) if named is None else named_frames(folder / "clip.yaml", stems, named)
    shots = Shots(stems, firsts)
    current = {"frames": fingerprint, "origin": origin, "shots": tuple(shot[0] for shot in shots)}
    if record != current:
        write_record(path, current)
        if len(shots) > 1:
            log.info("shots: %d, which begin at the frames %s", len(shots), ", ".join(current["shots"]))
    return shots


def detected_shots(folder: Path) -> tuple[str, ...] | None:
    """Names of the first frames of the shots that were detected last in a clip's folder, if any were."""
    record = _recorded(folder / RECORD)
    return record["shots"] if record is not None and record["origin"] == DETECTED else None


def _recorded(path: Path) -> dict[str, Any] | None:
    kinds = {"frames": str, "origin": str, "shots": tuple[str, ...]}
    return read_known_record(path, kinds) if path.exists() else None


def _detected(frames: FrameFolder) -> list[str]:
    return [frames.stems[index] for index in find_cuts(_reduced(frames))]


def _reduced(frames: FrameFolder) -> Iterator[ReducedFrame]:
    with bar("shots", len(frames)) as progress:
        for _, image in frames.read_ahead(depth=2):
            yield ReducedFrame.of(image)
            progress.advance()


def named_frames(path: Path, stems: Sequence[str], named: Sequence[int | str]) -> list[str]:
    """Names of frames that ``shots`` in ``clip.yaml`` gives by name, or by the number at the end of it.

    Args:
        path: The file, for messages.
        stems: Names of all frames.
        named: Names or numbers of some of them.

    Raises:
        ClipError: If one of them does not exist.
    """
    numbers = {int(found[0]): stem for stem in stems if (found := re.search(r"\d{1,9}$", stem))}
    firsts = []
    for each in named:
        stem = str(each) if str(each) in stems else numbers.get(int(each)) if str(each).isdecimal() else None
        if stem is None:
            raise ClipError(
                path,
                found=f"shots: {each!r}",
                expected=f"names or numbers of the clip's frames, {stems[0]} to {stems[-1]}",
                hint="name the first frame of each shot",
            )
        firsts.append(stem)
    return firsts
