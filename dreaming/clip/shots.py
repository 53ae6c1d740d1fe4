"""The shots of a clip: the frames between cuts, which alone are propagated, smoothed and compared with each other."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dreaming.clip.shot_detection import VERSION, ReducedFrame, find_cuts
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import read_known_record, write_record
from dreaming.progress import bar

log = logging.getLogger(__name__)

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
    def _shots(self) -> list[list[str]]:
        shots: list[list[str]] = []
        for stem in self.stems:
            if stem in self.firsts or not shots:
                shots.append([])
            shots[-1].append(stem)
        return shots

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {stem: number for number, shot in enumerate(self._shots) for stem in shot}

    def __iter__(self) -> Iterator[Sequence[str]]:
        return iter(self._shots)

    def __len__(self) -> int:
        return len(self._shots)

    def of(self, stem: str) -> Sequence[str]:
        """Names of the frames of the shot that a frame belongs to."""
        return self._shots[self._numbers[stem]]

    def joined(self, one: str, other: str) -> bool:
        """Whether two frames belong to one shot; False for pictures that are no frames."""
        return self._numbers.get(one) is not None and self._numbers.get(one) == self._numbers.get(other)

    @property
    def pairs(self) -> list[str]:
        """Names of all pairs of neighbouring frames without a cut between them: their earlier frames."""
        return [stem for shot in self._shots for stem in shot[:-1]]

    def without(self, references: Collection[str]) -> list[str]:
        """Describe the shots that contain none of these frames, such as "0001 to 0045"."""
        known = {self._numbers.get(stem) for stem in references}
        return [f"{shot[0]} to {shot[-1]}" for number, shot in enumerate(self._shots) if number not in known]


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
    path, stems = folder / "shots.json", frames.stems
    if len(stems) < 2:
        return Shots(stems)
    kinds = {"frames": str, "origin": str, "shots": tuple[str, ...]}
    record = read_known_record(path, kinds) if path.exists() else None
    origin = DETECTED if named is None else "clip.yaml"
    if named is None and record is not None and (record["frames"], record["origin"]) == (fingerprint, origin):
        return Shots(stems, record["shots"])
    firsts = _detected(frames) if named is None else _named(folder / "clip.yaml", stems, named)
    shots = Shots(stems, firsts)
    current = {"frames": fingerprint, "origin": origin, "shots": tuple(shot[0] for shot in shots)}
    if record != current:
        write_record(path, current)
        if len(shots) > 1:
            log.info("shots: %d, which begin at the frames %s", len(shots), ", ".join(current["shots"]))
    return shots


def _detected(frames: FrameFolder) -> list[str]:
    reduced = []
    with bar("shots", len(frames)) as progress:
        for _, image in frames.read_ahead(depth=2):
            reduced.append(ReducedFrame.of(image))
            progress.advance()
    return [frames.stems[index] for index in find_cuts(reduced)]


def _named(path: Path, stems: Sequence[str], named: Sequence[int | str]) -> list[str]:
    """Names of frames that are given by name, or by the number at the end of it."""
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
