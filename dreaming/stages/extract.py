"""The ``extract`` stage: numbered frames from a video, unless the user provides frames."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, fingerprint_files
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.record import read_record, write_record
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import EXTRACT, Clip
from dreaming.constraints import ImageSide, PositiveFloat, PositiveInt
from dreaming.errors import ClipError, ParameterError, VideoError
from dreaming.io.frame_folder import FrameFolder, is_signed
from dreaming.io.image import decode_opacity, has_alpha
from dreaming.stages.base import Stage
from dreaming.video.metadata import VideoMetadata, extracted_numbers, frame_stem
from dreaming.video.reader import probe, read_frames

log = logging.getLogger(__name__)


@dataclass
class ExtractStage(Stage):
    """Write the frames of a video to ``frames/``, named by their number in it; all of them, regardless of the shard.

    Attributes:
        video: The video; by default the only ``source.*`` in the clip's folder.
        gamma: Exponent of the gamma correction; 1 for none.
        start: First frame, counted from 1.
        end: Last frame; None for the video's last.
        every: Step from one frame to the next.
        size: (height, width) to resize to; None for the video's size.
    """

    name: ClassVar[str] = EXTRACT
    reads: ClassVar[tuple[str, ...]] = ()

    video: Path | None = field(default=None, metadata=NO_EFFECT)
    gamma: PositiveFloat = 1.0
    start: PositiveInt = 1
    end: int | None = None
    every: PositiveInt = 1
    size: tuple[ImageSide, ImageSide] | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ParameterError("end", found=self.end, expected=f"at least {self.start}, the first frame, or null")
        # A shard would decode the video from its start, and later stages expect all frames.
        self.shard = Shard()

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip with the user's own frames, or without a video.

        Raises:
            ClipError: If there are both the user's own frames and a video.
        """
        video = self._video(clip)
        if len(clip.frames) and not clip.frames_are_made:
            if self.video is not None:
                raise ClipError(
                    clip.frames.path,
                    found=f"{len(clip.frames)} frames of your own, and video={self.video}",
                    expected="one of the two",
                    hint="leave out video=, or move the frames away",
                )
            if is_signed(clip.frames.files[clip.stems[0]]):
                log.warning(
                    "%s: %s is missing, so these frames count as yours, without the times and the sound of a video;"
                    " to extract them again, move the folder away and set video=",
                    clip.frames.path, MANIFEST,
                )  # fmt: skip
            elif video is not None:
                log.warning("%s: not used, because the clip has frames of its own", video)
            return f"the clip has {len(clip.frames)} frames of its own"
        if video is None and clip.frames_are_made:
            count, kept = self._recorded_count(clip), len(clip.frames)
            missing = f" of {count}; set video= to extract the others" if count > kept else ""
            return f"no video is set, and frames/ holds {kept} frames{missing}"
        return None

    def _recorded_count(self, clip: Clip) -> int:
        """Number of frames that the last extraction selected; 0 if unknown."""
        return len(extracted_numbers(_record(clip)) or ())

    def _video(self, clip: Clip) -> Path | None:
        if self.video is not None:
            return Path(self.video)
        recorded = find_source_video(clip)
        if recorded is not None:
            return recorded
        videos = [path for path in clip.path.glob("source.*") if path.suffix != ".json"]
        return videos[0] if len(videos) == 1 else None

    def run(self, clip: Clip) -> None:
        """Extract missing frames.

        Raises:
            VideoError: If the video is unreadable or has no frames in the range.
            FrameError: If there are neither frames nor a video.
        """
        assert clip.frames_are_made or not len(clip.frames), "the user's own frames must not be overwritten"
        video = self._video(clip)
        if video is None:
            assert clip.stems  # raises an error: there are neither frames nor a video
            return
        source = probe(video)
        end = self._last(video, source.count)
        stems = [frame_stem(number, source.count) for number in range(self.start, end + 1, self.every)]
        record: dict[str, Any] = {
            **source.to_json(),
            "path": str(video.resolve()),
            "extracted": {"start": self.start, "end": end, "every": self.every},
        }
        fingerprint = fingerprint_files([video])

        def manifest() -> Manifest:
            return self.manifest(video=fingerprint)

        def make(missing: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            wanted = set(missing)
            frames = read_frames(
                video,
                source,
                start=self.start,
                end=end,
                every=self.every,
                size=None if self.size is None else (self.size[0], self.size[1]),
                gamma=self.gamma,
            )
            for number, image in frames:
                if number == self.start:  # not earlier, because the video may be unreadable
                    write_record(clip.source, record)
                if (stem := frame_stem(number, source.count)) in wanted:
                    yield stem, image

        self.complete(clip, clip.frames, stems, manifest, lambda _: make)
        clip.refresh()
        if any(has_alpha(clip.frames.files[stem]) for stem in stems):
            self._write_opacity(clip, stems, manifest)
        write_record(clip.source, record)  # the same video may have moved
        _warn_of_unused(clip)
        log.debug("extract: %d shots", len(clip.shots))  # detected now, so that the page does not wait for it

    def _last(self, video: Path, count: int) -> int:
        """The number of the last frame to extract of a video with ``count`` frames."""
        end = count if self.end is None else min(self.end, count)
        if self.start > end:
            raise VideoError(
                video,
                found=f"{count} frames",
                expected=f"at least {self.start}, the first one to extract",
                hint="lower stage.extract.start",
            )
        return end

    def _write_opacity(self, clip: Clip, stems: list[str], manifest: Callable[[], Manifest]) -> None:
        """Write the opacity of transparent frames to ``opacity/``, as masks that the user may copy."""
        folder = FrameFolder(clip.path / "opacity")

        def make(missing: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            for stem in missing:
                opacity = decode_opacity(clip.frames.files[stem])
                opacity = np.ones(clip.size, np.float32) if opacity is None else opacity
                yield stem, np.rint(opacity * 255).astype(np.uint8)
            log.info(
                "extract: the video is transparent; frames show it over black. To use its opacity as masks, copy "
                "%s/*.png to %s, for masker=flow",
                folder.path,
                clip.path / "hand_masks",
            )

        self.complete(clip, folder, stems, manifest, lambda _: make)


def _warn_of_unused(clip: Clip) -> None:
    """Warn of hand masks and keyframes of frames outside the range, which are not used."""
    patterns = ("hand_masks/*", "parts/*/hand_masks/*", "keyframes/*/*")
    skipped = clip.skipped_frames
    unused = sorted(path for pattern in patterns for path in clip.path.glob(pattern) if path.stem in skipped)
    if unused:
        names = ", ".join(str(path.relative_to(clip.path)) for path in unused)
        log.warning("extract: unused, because their frames are not extracted: %s", names)


def read_video_metadata(clip: Clip) -> VideoMetadata | None:
    """Metadata of the clip's video; None if the frames are the user's own."""
    if not clip.source.exists() or not clip.frames_are_made:
        return None
    return VideoMetadata.from_json(_record(clip), clip.source)


def find_source_video(clip: Clip) -> Path | None:
    """The video that the clip's frames were extracted from, if it still exists."""
    if not clip.source.exists():
        return None
    path = Path(str(_record(clip).get("path", "")))
    return path if os.path.isfile(path) else None  # noqa: PTH113 -- Path.is_file raises for a folder without permission


def _record(clip: Clip) -> dict[str, Any]:
    data = read_record(clip.source)
    if data is None and clip.source.exists():
        raise VideoError(
            clip.source,
            found="a damaged file",
            expected="the record that the extract stage writes",
            hint="remove it and run `stages=[extract]` again",
        )
    return data or {}
