"""The ``composite`` stage: the layers blended by their masks, and the final video."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, describe, fingerprint
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.constraints import NonNegativeInt, Sigma, UnitFloat, Workers
from dreaming.errors import ClipError
from dreaming.imaging.cleanup import Cleanup
from dreaming.io.atomic import discard_unfinished
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Probability
from dreaming.matting.foreground import foreground_colours
from dreaming.matting.layer_opacity import LayerOpacity
from dreaming.matting.refinement import MatteMethod
from dreaming.progress import bar
from dreaming.stages.base import Stage, fingerprint_of
from dreaming.stages.extract import find_source_video, read_video_metadata
from dreaming.video.timeline import FrameRate
from dreaming.video.writer import check_encoder, write_video

log = logging.getLogger(__name__)

UNKNOWN_RATE = 24
"""Frames per second if the frames do not come from a video."""


@dataclass(frozen=True)
class OpenLayer:
    """A layer with its folders, which are listed once.

    Attributes:
        layer: The layer.
        styled: Its colours.
        masks: Its masks or mattes; None if it covers the whole frame.
    """

    layer: Layer
    styled: FrameFolder
    masks: FrameFolder | None


@dataclass
class CompositeStage(Stage):
    """Blend the layers over the frames, from bottom to top, and write ``composite/`` and ``dream.mp4``.

    Attributes:
        maskers: Names of the selected maskers.
        masker: The masker whose masks cut the layers out; None for the last selected one.
        matte: The method of the mattes that cut the layers out; ``none``: masks do, by ``threshold`` and ``feather``.
        threshold: Probability above which a pixel belongs to the part, before feathering; None keeps masks soft.
        cleanup: Steps that change the masks of all parts after the threshold, as ``imaging/cleanup`` reads them; None
            for those of each part in ``clip.yaml``.
        feather: Standard deviation of the Gaussian that softens a layer's edge, in pixels.
        alpha: Whether to also write each layer as PNG with alpha, to ``alpha/<layer>/``.
        fps: Constant number of frames per second, at the source's speed; None for the source's frame times.
        crf: Constant rate factor; lower gives better quality and larger files.
        codec: Video encoder.
        preset: The encoder's speed preset; None for encoders without presets.
    """

    name: ClassVar[str] = "composite"
    opens: ClassVar[tuple[str, ...]] = ("dream.mp4",)
    needs = "keyframes"
    reads: ClassVar[tuple[str, ...]] = ("extract", "mask", "stylise")
    reads_its_share: ClassVar[bool] = True

    maskers: Sequence[str] = field(metadata=NO_EFFECT)
    masker: str | None = field(default=None, metadata=NO_EFFECT)
    matte: MatteMethod = field(default="none", metadata=NO_EFFECT)
    threshold: UnitFloat | None = 0.5
    cleanup: Sequence[Mapping[str, float | Sequence[float]]] | None = None
    feather: Sigma = 2.0
    alpha: bool = field(default=False, metadata=NO_EFFECT)
    fps: FrameRate | None = field(default=None, metadata=NO_EFFECT)
    crf: NonNegativeInt = field(default=18, metadata=NO_EFFECT)
    codec: str = field(default="libx264", metadata=NO_EFFECT)
    preset: str | None = field(default="medium", metadata=NO_EFFECT)
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        check_encoder(self.codec, self.crf, self.preset)
        Cleanup.parse("cleanup", self.cleanup or ())

    @property
    def _opacity(self) -> LayerOpacity:
        masks = LayerMasks(self.maskers, self.masker)
        return LayerOpacity(masks, self.matte, self.threshold, self.cleanup, self.feather)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The stages whose outputs it reads: mattes in place of masks, if there are any."""
        return tuple(name if name != "mask" or self.matte == "none" else "matte" for name in self.reads)

    def check(self, clip: Clip) -> None:
        """Check the clean-up of each part in ``clip.yaml``, and warn of settings without effect.

        Raises:
            ClipError: If ``clip.yaml`` has one of a part that does not exist, or an invalid step.
            ParameterError: If ``cleanup`` has an invalid step.
        """
        if self.matte != "none" and (self.threshold, self.feather) != (
            CompositeStage.threshold,
            CompositeStage.feather,
        ):
            log.warning("stage.composite.threshold and feather do not change mattes; use matte=none, or a clean-up")
        unknown = sorted(set(clip.settings.cleanup) - set(clip.parts))
        if unknown and clip.parts:
            parts = ", ".join(clip.parts)
            raise ClipError(clip.path / "clip.yaml", found=f"cleanup: {unknown[0]}", expected=f"parts among {parts}")
        for part in clip.parts:
            self._opacity.steps(clip, part)

    def run(self, clip: Clip) -> None:
        """Blend missing frames, then write the video if all frames exist."""
        layers = [self.open_layer(clip, layer) for layer in clip.layers]
        manifest = self._manifest(clip, layers)

        def make(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            return prefetch_map(lambda stem: (stem, self._blend(clip, layers, stem)), stems, self.workers)

        self.complete(clip, clip.composite, clip.stems, lambda: manifest, lambda _: make)
        if self.alpha:
            for opened in layers:
                self._write_alpha(clip, opened)
        if "composite" in clip.preview_dirs:
            log.debug("dream.mp4: unchanged by the preview")
        elif set(clip.stems) <= set(clip.composite.stems):
            self._write_video(clip, manifest)
        else:
            log.info("dream.mp4: not written, because frames are missing")

    def outputs(self, clip: Clip) -> Iterator[tuple[FrameFolder, Manifest]]:
        """The folder of frames and its manifest, from the current state of the inputs."""
        yield clip.composite, self._manifest(clip, [self.open_layer(clip, layer) for layer in clip.layers])

    def _manifest(self, clip: Clip, layers: Sequence[OpenLayer]) -> Manifest:
        return self.manifest(**self.layer_inputs(clip, layers))

    def open_layer(self, clip: Clip, layer: Layer) -> OpenLayer:
        """A layer of the clip with its folders."""
        return OpenLayer(layer, clip.styled(layer), self._opacity.folder(clip, layer))

    def layer_inputs(self, clip: Clip, layers: Sequence[OpenLayer]) -> dict[str, str]:
        """Fingerprints of all that the colours and the opacity of these layers depend on."""
        inputs = {"frames": clip.frames_fingerprint}
        for index, opened in enumerate(layers):
            inputs[f"layer {index}"] = fingerprint(dataclasses.asdict(opened.layer))
            if opened.styled is not clip.frames:
                inputs[f"styled {opened.layer.name}"] = fingerprint_of(opened.styled)
            if opened.masks is not None:
                inputs[f"{'masks' if self.matte == 'none' else 'mattes'} {opened.layer.part}"] = fingerprint_of(
                    opened.masks
                )
            if steps := self._opacity.steps(clip, opened.layer.part).steps:
                inputs[f"cleanup {opened.layer.part}"] = fingerprint(Cleanup.version, steps)
        return inputs

    def opacity(self, clip: Clip, opened: OpenLayer, stem: str) -> Probability:
        """Opacity of a layer at each pixel, (H, W) in 0..1, in the composite and in all exports."""
        return self._opacity.read(clip, opened.layer, opened.masks, stem)

    def read_layer(self, clip: Clip, opened: OpenLayer, stem: str) -> tuple[Image, Probability]:
        """Colours (H, W, 3) and opacity (H, W) of a layer, in the composite and in all exports.

        With a matte, the colours of its edge are those of the layer alone, so that the old background does not show.
        """
        opacity, styled = self.opacity(clip, opened, stem), opened.styled.read(stem, clip.size)
        return (styled if self.matte == "none" else foreground_colours(styled, opacity)), opacity

    def _blend(self, clip: Clip, layers: Sequence[OpenLayer], stem: str) -> Image:
        image = clip.frames.read(stem).astype(np.float32)
        for opened in layers:
            colours, opacity = self.read_layer(clip, opened, stem)
            if self.matte != "none":  # the subject shines through what is below it, which was made from the same frame
                image = foreground_colours(image, 1 - opacity)
            image += opacity[..., None] * (colours - image)
        return np.rint(image).astype(np.uint8)

    def _write_alpha(self, clip: Clip, opened: OpenLayer) -> None:
        folder = FrameFolder(clip.path / "alpha" / opened.layer.name)
        manifest = Manifest(f"{self.name} alpha", self.version, describe(self), self.layer_inputs(clip, [opened]))

        def with_alpha(stem: str) -> tuple[str, NDArray[np.uint8]]:
            colours, opacity = self.read_layer(clip, opened, stem)
            return stem, np.dstack([colours, np.rint(opacity * 255).astype(np.uint8)])

        def make(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            return prefetch_map(with_alpha, stems, self.workers)

        self.complete(clip, folder, clip.stems, lambda: manifest, lambda _: make)

    def _write_video(self, clip: Clip, composite: Manifest) -> None:
        path, record = clip.path / "dream.mp4", clip.path / "dream.json"
        source, stems = read_video_metadata(clip), clip.stems
        sound = find_source_video(clip) if source is not None and source.sound else None
        lost = source is not None and source.sound and sound is None
        encoder = {"fps": self.fps, "crf": self.crf, "codec": self.codec, "preset": self.preset}
        inputs = {"composite": composite.fingerprint, "source": fingerprint(source)}
        manifest = Manifest("video", self.version, encoder, {**inputs, "sound": "lost" if lost else "as the source"})
        whole = Manifest("video", self.version, encoder, {**inputs, "sound": "as the source"})
        with clip.lock("dream.mp4", "dream.mp4: waiting for another process that writes it"):
            before = Manifest.read(record)
            if path.exists() and before in (manifest, whole):
                log.debug("dream.mp4: up to date")
                return
            record.unlink(missing_ok=True)  # it would describe a new video that a kill leaves without a record
            discard_unfinished(clip.path, [path.name])
            if lost:
                log.warning("dream.mp4: without sound, because the source video is missing")
            shown = timing(clip, self.fps)
            with bar("dream.mp4", len(stems)) as progress:

                def frames() -> Iterator[Image]:
                    for _, image in clip.composite.read_ahead(stems, size=clip.size):
                        progress.advance()
                        yield image

                write_video(path, frames(), sound=sound, codec=self.codec, crf=self.crf, preset=self.preset, **shown)
            dataclasses.replace(manifest, seconds=progress.seconds, frames=progress.done).write(record)
        log.info("dream.mp4: %d frames in %.1f s", progress.done, progress.seconds)


def timing(clip: Clip, fps: float | None) -> dict[str, Any]:
    """Arguments of ``write_video`` that show all frames of a clip as its source does, or at a constant rate."""
    source = read_video_metadata(clip)
    if source is None:
        return {"fps": fps or UNKNOWN_RATE}
    return {"fps": fps, **source.timing([int(stem) for stem in clip.stems])._asdict()}
