"""Metadata of the video that a clip's frames were extracted from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self, cast

from dreaming.errors import VideoError
from dreaming.io.types import Size

_AUDIBLE = Fraction(1, 20)
"""Sound that precedes the first frame by less, in seconds, is cut off: it is the delay of an encoder."""


class Timing(NamedTuple):
    """When frames are shown, and the part of the sound that belongs to them; all in seconds of the source's clock.

    Attributes:
        times: When each frame appears.
        begin: What becomes 0.
        end: Where the sound ends; None for the end of the sound track.
        duration: How long the last frame is shown; None if unknown.
    """

    times: list[Fraction]
    begin: Fraction
    end: Fraction | None
    duration: Fraction | None


@dataclass(frozen=True)
class VideoMetadata:
    """Size, rotation and frame times of a video, stored in the clip's ``source.json``.

    Attributes:
        file: The video's file name.
        width: Width of an upright frame, in square pixels.
        height: Height of an upright frame, in pixels.
        rotation: Clockwise rotation that makes the stored frames upright: 0, 90, 180 or 270 degrees.
        pts: Presentation times of the frames, increasing, in units of ``time_base``.
        time_base: Seconds; exact.
        rate: Average frames per second.
        sound: Whether the video has a sound track.
        sound_start: When its sound starts, in seconds; None if unknown.
        last_duration: How long the last frame is shown, in units of ``time_base``; None if unknown.
    """

    kind: ClassVar[str] = "video_metadata"

    file: str
    width: int
    height: int
    rotation: int
    pts: tuple[int, ...]
    time_base: Fraction
    rate: Fraction
    sound: bool
    sound_start: Fraction | None = None
    last_duration: int | None = None

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.pts)

    @property
    def size(self) -> Size:
        """(height, width) of an upright frame in pixels."""
        return self.height, self.width

    @cached_property
    def times(self) -> tuple[Fraction, ...]:
        """Presentation times of the frames in seconds; exact."""
        return tuple(pts * self.time_base for pts in self.pts)

    def timing(self, numbers: Sequence[int]) -> Timing:
        """Times of some frames, and the part of the sound that belongs to them.

        The clock of a source may start anywhere. What becomes 0 is the start of the video or of its sound, if the first
        frame is among these, and otherwise their first frame. The last frame and the sound end where the next frame of
        the sequence would begin.

        Args:
            numbers: Numbers of the frames in the video, counted from 1, increasing.
        """
        times = [self.times[number - 1] for number in numbers]
        begin = times[0]
        if numbers[0] == 1 and self.sound_start is not None and self.sound_start < begin - _AUDIBLE:
            begin = self.sound_start
        following = numbers[-1] + (numbers[-1] - numbers[-2] if len(numbers) > 1 else 1)
        if following <= self.count:
            end = self.times[following - 1]
            return Timing(times, begin, end, end - times[-1])
        if self.last_duration is None:
            return Timing(times, begin, None, None)
        return Timing(times, begin, None, self.times[-1] + self.last_duration * self.time_base - times[-1])

    def to_json(self) -> dict[str, Any]:
        """Convert to plain types, with rationals as ``"numerator/denominator"``."""
        return {
            "file": self.file,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "frames": self.count,
            "rate": str(self.rate),
            "sound": self.sound,
            "sound_start": None if self.sound_start is None else str(self.sound_start),
            "last_duration": self.last_duration,
            "time_base": str(self.time_base),
            "pts": list(self.pts),
        }

    @classmethod
    def from_json(cls, data: object, where: object = "source.json") -> Self:
        """Create from the output of ``to_json``.

        Args:
            data: The parsed JSON.
            where: The file that held it, for error messages.

        Raises:
            VideoError: If a value is missing, of the wrong type or out of range.
        """
        try:
            if not isinstance(data, Mapping):
                raise TypeError(f"a {type(data).__name__}")
            pts = data["pts"]
            width, height, rotation, frames = (data[key] for key in ("width", "height", "rotation", "frames"))
            if any(type(value) is not int for value in (width, height, rotation, frames, *pts)):
                raise TypeError("a size, count or time that is not an integer")
            if type(data["file"]) is not str or type(data["sound"]) is not bool:
                raise TypeError("a file name or sound flag of the wrong type")
            # Records of earlier versions lack these.
            sound_start, last_duration = data.get("sound_start"), data.get("last_duration")
            # Fraction("1e999999999") would not end.
            rationals = [data["time_base"], data["rate"], 0 if sound_start is None else sound_start]
            if not all(re.fullmatch(r"-?\d{1,18}(/\d{1,18})?", str(rational)) for rational in rationals):
                raise ValueError("a rate or time out of range")
            if max(map(abs, (width, height, *pts))) >= 2**63:
                raise ValueError("a size or time out of range")
            if last_duration is not None and (type(last_duration) is not int or not 0 < last_duration < 2**63):
                raise ValueError("a duration out of range")
            time_base, rate = Fraction(data["time_base"]), Fraction(data["rate"])
            sound_start = None if sound_start is None else Fraction(sound_start)
            if min(width, height, time_base, rate) <= 0 or rotation not in (0, 90, 180, 270):
                raise ValueError("a size, rate, time base or rotation out of range")
            if not pts or frames != len(pts) or any(later <= earlier for earlier, later in pairwise(pts)):
                raise ValueError("times that do not increase or do not match the number of frames")
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise VideoError(
                where,
                found=f"no {error}" if isinstance(error, KeyError) else str(error),
                expected="the record that the extract stage writes",
                hint="remove the file and run `stages=[extract]` again",
            ) from None
        return cls(
            data["file"],
            width,
            height,
            rotation,
            tuple(pts),
            time_base,
            rate,
            data["sound"],
            sound_start,
            last_duration,
        )


def skipped_stems(record: object) -> frozenset[str]:
    """Names that belong to frames of a video outside the extracted range or step.

    Args:
        record: The parsed ``source.json``; a damaged one has no such names.
    """
    extracted = extracted_numbers(record)
    if extracted is None:
        return frozenset()
    count = cast(Mapping[str, int], record)["frames"]
    return frozenset(frame_stem(number, count) for number in range(1, count + 1) if number not in extracted)


def extracted_numbers(record: object) -> range | None:
    """Numbers of the extracted frames, from the parsed ``source.json``; None if it is damaged."""
    match record:
        case {
            "frames": int(count),
            "pts": list(pts),
            "extracted": {"start": int(a), "end": int(b), "every": int(step)},
        } if count == len(pts) and step > 0 and 1 <= a <= b <= count:
            return range(a, b + 1, step)
    return None


def frame_stem(number: int, count: int) -> str:
    """Name of a frame from its number, counted from 1, padded to the same length for all ``count`` frames."""
    return f"{number:0{max(4, len(str(count)))}d}"
