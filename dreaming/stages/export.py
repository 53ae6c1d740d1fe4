"""The ``export`` stage: layers with alpha as videos and picture sequences, for other programs."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ConfigError, ParameterError
from dreaming.imaging.alpha import merge_layers, to_integers, to_linear
from dreaming.io.atomic import discard_unfinished
from dreaming.io.exr import ExrFolder
from dreaming.io.file_pattern import FilePattern, frame_number
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Probability
from dreaming.progress import bar
from dreaming.stages.base import Stage
from dreaming.stages.composite import CompositeStage, OpenLayer, timing
from dreaming.video.alpha_writer import ALPHA_CODECS, write_alpha_video
from dreaming.video.writer import write_video

log = logging.getLogger(__name__)

Format = Literal["prores", "webm", "ffv1", "mask", "png", "png16", "exr"]

SEQUENCES: Mapping[str, type[FrameFolder]] = {"png": FrameFolder, "png16": FrameFolder, "exr": ExrFolder}
"""Formats of one picture per frame; the others are videos."""

MASK_CRF = 2
"""Quality of a mask video (H.264): within about 6 levels of 255 at edges."""


@dataclass(frozen=True)
class _Export:
    """What one file or sequence shows: a layer, or all of them on a transparent ground."""

    name: str
    layers: tuple[OpenLayer, ...]


@dataclass
class ExportStage(Stage):
    """Write each layer with its opacity to ``export/<format>/``, with the frames' own numbers.

    A clip without keyframes is exported unstylised, one layer for each part. A frame without the subject is empty:
    transparent and black. A single layer's straight colours are those of its stylised frames also where it is
    transparent, so that scaling or blurring in another program does not darken its edge.

    Attributes:
        composite: The stage whose opacity and frame rate the exports share.
        formats: ``prores`` (ProRes 4444, mov), ``webm`` (VP9), ``ffv1`` (mkv, lossless), ``mask`` (H.264 mp4 of the
            opacity as grey), ``png``, ``png16`` (8 and 16 bits), ``exr`` (half float, linear).
        layers: ``each`` of them, ``all`` of them merged, or names of those that are wanted.
        alpha: Whether colours are multiplied by the opacity. Those of webm never are, and those of exr always.
        video_name: Pattern of a video's name, with the fields ``{clip}`` and ``{layer}``.
        frame_name: Pattern of a picture's name, with ``{frame}`` or, padded with zeros, ``{frame:06}`` in addition.

    Raises:
        ParameterError: If a pattern makes no file name.
    """

    name: ClassVar[str] = "export"

    composite: CompositeStage
    formats: Sequence[Format] = ("prores",)
    layers: Literal["each", "all"] | Sequence[str] = "each"
    alpha: Literal["straight", "premultiplied"] = "straight"
    video_name: str = "{clip}_{layer}"
    frame_name: str = "{clip}_{layer}.{frame}"

    def __post_init__(self) -> None:
        if not self.formats:
            raise ParameterError("formats", found="none", expected="at least one format")
        assert self._frame_pattern
        assert self._video_pattern

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those of the composite."""
        return self.composite.inputs

    @property
    def _frame_pattern(self) -> FilePattern:
        return FilePattern("frame_name", self.frame_name, required="frame")

    @property
    def _video_pattern(self) -> FilePattern:
        return FilePattern("video_name", self.video_name, ("clip", "layer"))

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip of which nothing can be cut out or stylised."""
        return None if clip.layers or clip.parts else "the clip has neither keyframes nor hand masks"

    def check(self, clip: Clip) -> None:
        """Check the names of layers, and that no two files would have the same name.

        Raises:
            ConfigError: If a layer does not exist, or files would have the same name.
        """
        if self.skips(clip) is not None:
            return
        self.composite.check(clip)
        exports = self._exports(clip)
        groups = [("video_name", self._videos(clip).values())] if set(self.formats) - SEQUENCES.keys() else []
        if set(self.formats) & SEQUENCES.keys():
            groups += [("frame_name", self._names(clip, export).values()) for export in exports]
        for key, names in groups:
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ConfigError(
                    f"stage.export.{key}",
                    found=f"a pattern by which several files are called {twice[0]}",
                    expected="a pattern whose fields tell them apart",
                )

    def run(self, clip: Clip) -> None:
        """Write what is missing of each layer in each format."""
        for export in self._exports(clip):
            for each in dict.fromkeys(self.formats):
                if each in SEQUENCES:
                    self._write_pictures(clip, export, each)
                elif self.shard != Shard():
                    log.info("export: %s is not written by a shard; leave out shard= for videos", each)
                else:
                    self._write_video(clip, export, each)

    def _exports(self, clip: Clip) -> list[_Export]:
        layers = clip.layers
        opened = [self.composite.open_layer(clip, layer) for layer in layers]
        if not layers:
            parts = [self.composite.open_layer(clip, Layer(part, part=part)) for part in clip.parts]
            opened = [replace(part, styled=clip.frames) for part in parts]
        if self.layers == "all":
            return [_Export("all", tuple(opened))]
        each = {one.layer.name: _Export(one.layer.name, (one,)) for one in opened}
        if self.layers == "each":
            return list(each.values())
        for name in self.layers:
            if name not in each:
                expected = "each, all, or names among " + ", ".join(each)
                raise ConfigError("stage.export.layers", found=f"no layer {name!r}", expected=expected)
        return [each[name] for name in dict.fromkeys(self.layers)]

    def _names(self, clip: Clip, export: _Export) -> dict[str, str]:
        """Name of the picture of each frame."""
        values, pattern = self._values(clip, export), self._frame_pattern
        return {stem: pattern.fill({**values, "frame": stem}) for stem in clip.stems}

    def _videos(self, clip: Clip) -> dict[str, str]:
        """Name of the video of each export."""
        return {one.name: self._video_pattern.fill(self._values(clip, one)) for one in self._exports(clip)}

    def _values(self, clip: Clip, export: _Export) -> dict[str, str]:
        return {"clip": clip.path.resolve().name, "layer": export.name}

    def _read(self, clip: Clip, export: _Export, stem: str) -> tuple[NDArray[np.float32], Probability]:
        """Straight colours (H, W, 3) in 0..255 and opacity (H, W) in 0..1; both 0 in a frame without the subject."""
        colours, opacity = merge_layers(self.composite.read_layer(clip, layer, stem) for layer in export.layers)
        return (colours, opacity) if opacity.any() else (np.zeros_like(colours), opacity)

    def _picture(self, clip: Clip, export: _Export, made: str, stem: str) -> NDArray[Any]:
        """A frame as the encoder of a format takes it."""
        colours, opacity = self._read(clip, export, stem)
        if made == "exr":
            return to_linear(colours, opacity)
        if made == "mask":
            return np.repeat(to_integers(colours, opacity, 8)[..., 3:], 3, axis=2)
        depth = 16 if made == "png16" else ALPHA_CODECS[made].depth if made in ALPHA_CODECS else 8
        premultiplied = self.alpha == "premultiplied" and made != "webm"
        return to_integers(colours, opacity, depth, premultiplied=premultiplied)

    def _manifest(self, clip: Clip, export: _Export, made: str) -> Manifest:
        wanted = self.manifest(**self.composite.layer_inputs(clip, export.layers))
        unused = {"formats", "layers", "frame_name" if made not in SEQUENCES else "video_name"}
        config = {key: value for key, value in wanted.config.items() if key not in unused}
        return replace(wanted, config={**config, "format": made})

    def _write_pictures(self, clip: Clip, export: _Export, made: str) -> None:
        folder = SEQUENCES[made](clip.path / "export" / made / export.name)
        stems = {name: stem for stem, name in self._names(clip, export).items()}
        manifest = self._manifest(clip, export, made)

        def make(names: list[str]) -> Iterator[tuple[str, NDArray[Any]]]:
            return prefetch_map(
                lambda name: (name, self._picture(clip, export, made, stems[name])), names, self.composite.workers
            )

        self.complete(clip, folder, list(stems), lambda: manifest, lambda _: make)

    def _write_video(self, clip: Clip, export: _Export, made: str) -> None:
        name = self._videos(clip)[export.name] + (ALPHA_CODECS[made].suffix if made in ALPHA_CODECS else ".mp4")
        path = clip.path / "export" / made / name
        record, title = path.with_name(f".{name}.json"), str(path.relative_to(clip.path))
        shown = {key: value for key, value in timing(clip, self.composite.fps).items() if key not in ("begin", "end")}
        wanted = self._manifest(clip, export, made)
        wanted = replace(wanted, inputs={**wanted.inputs, "times": repr(sorted(shown.items()))})
        with clip.lock(title, f"{title}: waiting for another process that writes it"):
            if path.exists() and Manifest.read(record) == wanted:
                log.info("%s: up to date", title)
                return
            record.unlink(missing_ok=True)
            if path.parent.exists():
                discard_unfinished(path.parent, [name])
            with bar(title, len(clip.stems)) as progress:

                def frames() -> Iterator[NDArray[Any]]:
                    make = partial(self._picture, clip, export, made)
                    for picture in prefetch_map(make, clip.stems, self.composite.workers):
                        progress.advance()
                        yield picture

                self._encode(path, frames(), made, clip.stems, shown)
            replace(wanted, seconds=progress.seconds, frames=progress.done).write(record)
        log.info("%s: %d frames in %.1f s", title, progress.done, progress.seconds)

    def _encode(
        self, path: Path, frames: Iterator[NDArray[Any]], made: str, stems: Sequence[str], shown: Mapping[str, Any]
    ) -> None:
        if made == "mask":
            write_video(path, frames, crf=MASK_CRF, **shown)
        else:
            write_alpha_video(path, frames, ALPHA_CODECS[made], number=_first_number(stems, shown), **shown)


def _first_number(stems: Sequence[str], shown: Mapping[str, Any]) -> int | None:
    """The first frame's number if each tick of the video shows the next number, so that a time code counts them."""
    numbers, times = [frame_number(stem) for stem in stems], shown.get("times")
    counted = all(a is not None and b == a + 1 for a, b in pairwise(numbers))
    regular = times is None or (shown["fps"] is None and len({b - a for a, b in pairwise(times)}) <= 1)
    return numbers[0] if counted and regular else None
