"""The ``extract`` stage: a video to numbered frames, or the user's own frames taken as they are."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, ConfigError, VideoError
from dreaming.io.atomic import write_atomically
from dreaming.io.manifest import NO_EFFECT, Manifest, fingerprint_files
from dreaming.io.shard import Shard
from dreaming.io.video_metadata import VideoMetadata, frame_stem
from dreaming.io.video_reader import probe, read_frames
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)


@dataclass
class ExtractStage(Stage):
    """Write the frames of a video to ``frames/``, named by their place in it; all of them, whatever the shard.

    Attributes:
        video: The video; by default a lone ``source.*`` in the clip's folder.
        gamma: Exponent of the gamma correction; 1 for none.
        start: First place taken, from 1.
        end: Last place taken; None for the video's last.
        every: Step between the places taken.
        size: (height, width) to resize to; None for the video's own.
    """

    kind: ClassVar[str] = "extract_stage"

    name: ClassVar[str] = "extract"

    video: Path | None = field(default=None, metadata=NO_EFFECT)
    gamma: float = 1.0
    start: int = 1
    end: int | None = None
    every: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        # Each share would decode the video from its start, and what follows takes the frames that lie there for all.
        self.shard = Shard()

    def skips(self, clip: Clip) -> str | None:
        """Frames that the user put there need no extraction."""
        video = self._video(clip)
        if len(clip.frames) and not clip.frames_are_made:
            if self.video is not None:
                raise ClipError(
                    clip.frames.path,
                    found=f"{len(clip.frames)} frames of your own, and video={self.video}",
                    expected="one or the other",
                    hint="leave out video=, or move the frames away",
                )
            return f"the clip brings its own {len(clip.frames)} frames"
        if video is None and clip.frames_are_made:
            return f"no video is named; the {len(clip.frames)} frames extracted before are kept{self._lacking(clip)}"
        return None

    def _lacking(self, clip: Clip) -> str:
        places = _record(clip).get("places")
        if not isinstance(places, Mapping):
            return ""
        count = len(range(places["start"], places["end"] + 1, places["every"]))
        return "" if len(clip.frames) >= count else f", though {count} were to be; name the video to get the others"

    def _video(self, clip: Clip) -> Path | None:
        if self.video is not None:
            return Path(self.video)
        recorded = find_source_video(clip)
        if recorded is not None:
            return recorded
        lone = [path for path in sorted(clip.path.glob("source.*")) if path.suffix not in (".json",)]
        return lone[0] if len(lone) == 1 else None

    def run(self, clip: Clip) -> None:
        """Extract what is missing.

        Raises:
            ConfigError: If the range, step, size or gamma makes no sense.
            VideoError: If the video cannot be read, or has no frames in the range.
            FrameError: If there are neither frames nor a video.
        """
        assert clip.frames_are_made or not len(clip.frames), "frames of the user's own are skipped"
        video = self._video(clip)
        if video is None:
            assert clip.stems  # raises: there are neither frames nor a video
            return
        source = probe(video)
        if self.every < 1:
            raise ConfigError("stage.extract.every", found=str(self.every), expected="1 or more", hint="change it")
        end = source.count if self.end is None else min(self.end, source.count)
        if self.start > end:
            raise VideoError(
                video,
                found=f"{source.count} frames, of which {self.start} to {self.end or 'the last'} were asked for",
                expected="a range with frames in it",
                hint="correct stage.extract.start and stage.extract.end",
            )
        places = range(self.start, end + 1, self.every)
        stems = [frame_stem(place, source.count) for place in places]
        record: dict[str, Any] = {
            **source.to_json(),
            "path": str(video.resolve()),
            "places": {"start": self.start, "end": end, "every": self.every},
        }
        identity = fingerprint_files([video])

        def note() -> None:
            write_atomically(clip.source, (json.dumps(record, indent=2) + "\n").encode())

        def manifest() -> Manifest:
            return self.manifest(video=identity)

        def make(wanted: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            stems = set(wanted)
            frames = read_frames(
                video,
                start=self.start,
                end=end,
                every=self.every,
                size=None if self.size is None else (self.size[0], self.size[1]),
                gamma=self.gamma,
            )
            for place, image in frames:
                if place == self.start:  # not before the video has proved readable
                    note()
                if (stem := frame_stem(place, source.count)) in stems:
                    yield stem, image

        self.complete(clip, clip.frames, stems, manifest, lambda _: make)
        note()  # the same video may have moved
        _tell_of_painted(clip)


def _tell_of_painted(clip: Clip) -> None:
    """What is painted on frames outside the range waits, which its painter may not expect."""
    places = ("hand_masks/*", "parts/*/hand_masks/*", "keyframes/*/*")
    waiting = sorted(path for place in places for path in clip.path.glob(place) if path.stem in clip.skipped_frames)
    if waiting:
        names = ", ".join(str(path.relative_to(clip.path)) for path in waiting)
        log.warning("extract: not learnt from, for their frames are not extracted: %s", names)


def read_video_metadata(clip: Clip) -> VideoMetadata | None:
    """What ``extract`` knows of the clip's video; None where the frames are the user's."""
    if not clip.source.exists() or not clip.frames_are_made:
        return None
    return VideoMetadata.from_json(_record(clip), clip.source)


def find_source_video(clip: Clip) -> Path | None:
    """The video that the clip's frames were extracted from, if it is still there."""
    if not clip.source.exists():
        return None
    path = Path(str(_record(clip).get("path", "")))
    return path if path.is_file() else None


def _record(clip: Clip) -> dict[str, Any]:
    try:
        data = json.loads(clip.source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    raise VideoError(
        clip.source,
        found="a file that is damaged",
        expected="what extract wrote there",
        hint="remove it and run `stages=[extract]` again",
    )
