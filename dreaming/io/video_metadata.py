"""What is known of the video that a clip's frames came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Self

from dreaming.errors import VideoError
from dreaming.io.types import Size


@dataclass(frozen=True)
class VideoMetadata:
    """What a clip's ``source.json`` keeps of its video.

    Attributes:
        file: The video's file name.
        width: Of an upright frame, in square pixels.
        height: Of an upright frame, in pixels.
        rotation: Clockwise turn that makes the stored pictures upright: 0, 90, 180 or 270 degrees.
        pts: When each frame is shown, in order, in units of ``time_base``.
        time_base: Seconds; exact.
        rate: Average frames per second.
        sound: Whether there is a sound track.
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

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.pts)

    @property
    def size(self) -> Size:
        """(height, width) of an upright frame in pixels."""
        return self.height, self.width

    @cached_property
    def times(self) -> tuple[Fraction, ...]:
        """Seconds at which each frame is shown; exact."""
        return tuple(pts * self.time_base for pts in self.pts)

    def timing(self, places: Sequence[int]) -> tuple[list[Fraction], Fraction, Fraction | None]:
        """When the frames of these places are shown, and the timing of sound that belongs to them.

        Args:
            places: Numbers of the frames in the source, from 1, rising.

        Returns:
            The frames' times, then where the sound begins and ends in seconds of the source; an end of None is the
            end of the sound. All the sound belongs to a timing of the whole video, what precedes its first frame too.
        """
        times = [self.times[place - 1] for place in places]
        step = places[-1] - places[-2] if len(places) > 1 else 1
        following = places[-1] + step
        begin = min(times[0], Fraction(0)) if places[0] == 1 else times[0]
        return times, begin, self.times[following - 1] if following <= self.count else None

    def to_json(self) -> dict[str, Any]:
        """Plain types; rationals as ``"numerator/denominator"``."""
        return {
            "file": self.file,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "frames": self.count,
            "rate": str(self.rate),
            "sound": self.sound,
            "time_base": str(self.time_base),
            "pts": list(self.pts),
        }

    @classmethod
    def from_json(cls, data: object, where: object = "source.json") -> Self:
        """Read back what ``to_json`` gave.

        Args:
            data: The parsed JSON.
            where: The file it was read from, for the error.

        Raises:
            VideoError: If a value is missing, of another type or out of range.
        """
        try:
            if not isinstance(data, Mapping):
                raise TypeError(f"a {type(data).__name__}")
            pts = data["pts"]
            width, height, rotation, frames = (data[key] for key in ("width", "height", "rotation", "frames"))
            if any(type(value) is not int for value in (width, height, rotation, frames, *pts)):
                raise TypeError("a size, count or time that is no whole number")
            if type(data["file"]) is not str or type(data["sound"]) is not bool:
                raise TypeError("a file that is no name or a sound that is neither true nor false")
            time_base, rate = Fraction(data["time_base"]), Fraction(data["rate"])
            if min(width, height, time_base, rate) <= 0 or rotation not in (0, 90, 180, 270):
                raise ValueError("a size, rate, time base or rotation out of range")
            if not pts or frames != len(pts) or any(later <= earlier for earlier, later in pairwise(pts)):
                raise ValueError("times that do not rise or do not match the number of frames")
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise VideoError(
                where,
                found=f"no {error}" if isinstance(error, KeyError) else str(error),
                expected="what extract wrote there",
                hint="remove the file and run `stages=[extract]` again",
            ) from None
        return cls(data["file"], width, height, rotation, tuple(pts), time_base, rate, data["sound"])


def skipped_stems(record: object) -> frozenset[str]:
    """Names that those of a video's frames would have which were not extracted, for they lie outside the range or step.

    Args:
        record: The parsed ``source.json``; nothing is known of one that is damaged.
    """
    match record:
        case {"frames": int(count), "places": {"start": int(start), "end": int(end), "every": int(every)}} if every > 0:
            taken = range(start, end + 1, every)
            return frozenset(frame_stem(place, count) for place in range(1, count + 1) if place not in taken)
    return frozenset()


def frame_stem(place: int, count: int) -> str:
    """Name of the frame at a place, from 1, in a video of so many: alike long for all, and in order."""
    return f"{place:0{max(4, len(str(count)))}d}"
