"""The ``stylise`` stage: train each layer's generator on its keyframes and stylise all frames."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.artifacts.fingerprint import NO_EFFECT, describe, digest
from dreaming.artifacts.folder import Maker
from dreaming.artifacts.manifest import FILES, Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import BatchSize
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import TemporalBlending
from dreaming.flow.temporal_window import dilate
from dreaming.guides.compose import COLOURS
from dreaming.guides.storage import GuideStack
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image
from dreaming.models.style import StyleModule
from dreaming.models.style_inference import compile_and_warm_up, fold_normalisation
from dreaming.models.style_task import StyleTask
from dreaming.stages.base import Stage, fingerprint_of
from dreaming.strokes.transfer import StrokeTransfer
from dreaming.training import run_registry as runs
from dreaming.training.checkpoints import load
from dreaming.training.context import TrainingContext
from dreaming.training.inference import prepare_inference, share_out

log = logging.getLogger(__name__)

BATCH_PIXELS = 2**21
"""Pixels per batch on a GPU if ``batch`` is not set; a larger frame saturates it alone."""


@dataclass
class StyliseStage(Stage):
    """Write every frame in each layer's style to ``styled/<layer>/``.

    Attributes:
        quality: ``draft`` is the network's output, ``good`` has the strokes of the keyframes.
        strokes: Transfer of the strokes, for ``good``.
        blend: Temporal blending of stylised frames; None: none.
        batch: Frames per batch; None: one on a CPU, several small ones on a GPU.
        compiled: Whether to compile the generator first, which pays off on a GPU and for long clips.
    """

    name: ClassVar[str] = "stylise"
    version: ClassVar[int] = 5
    needs = "keyframes"

    task: StyleTask = field(metadata=NO_EFFECT)
    context: TrainingContext = field(metadata=NO_EFFECT)
    blend: TemporalBlending | None = None
    quality: Literal["draft", "good"] = "good"
    strokes: StrokeTransfer = field(default_factory=lambda: StrokeTransfer(DisFlow(scale=1.0)))
    batch: BatchSize | None = field(default=None, metadata=NO_EFFECT)
    compiled: bool = field(default=False, metadata=NO_EFFECT)

    @property
    def _blends(self) -> bool:
        return self.blend is not None and self.blend.sigma is not None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Stages to run first: masks, smoothed frames and guides only if the training needs them."""
        task = self.task
        optional = (("filter", task.filtered), ("guide", bool(task.guides)))
        return (*self.reads, *task.mask_stages, *(name for name, needed in optional if needed))

    def check(self, clip: Clip) -> None:
        """Check the keyframes."""
        for layer in clip.layers:
            clip.masked_keyframes(layer).check(clip.frames, clip.size)

    def run(self, clip: Clip) -> None:
        """Train each layer's generator unless it is up to date, and stylise missing frames."""
        for layer in clip.layers:
            clip.shots.warn_without(clip.keyframe_folder(layer).stems, layer.name, "keyframe")
            self._stylise(clip, layer)

    def outputs(self, clip: Clip) -> Iterator[tuple[FrameFolder, Manifest]]:
        """Yield each layer's folder and its current manifest."""
        for layer in clip.layers:
            stack = GuideStack(clip, layer, self.task.guides)
            yield clip.styled(layer), self._manifest(clip, layer, stack)()

    def required_frames(self, clip: Clip, stems: Sequence[str]) -> list[str]:
        """Names of the frames needed for those named: themselves, and with blending their neighbours."""
        return dilate(clip.shots, stems, self.blend.radius if self.blend is not None and self._blends else 0)

    def training_frames(self, clip: Clip) -> list[str]:
        """Names of the frames to train on: keyframes and unpainted frames."""
        keyframes = [stem for layer in clip.layers for stem in clip.keyframe_folder(layer).stems]
        return [*keyframes, *self.task.unpainted(clip)]

    def untrained_frames(self, clip: Clip) -> list[str]:
        """Names of the unpainted frames that a training still needs; empty if all layers are trained."""
        return [] if self.is_trained(clip) else self.task.unpainted(clip)

    def is_trained(self, clip: Clip) -> bool:
        """Whether all layers have a trained style of the current config and keyframes."""
        task, folder = self.task, clip.runs(self.task.name)
        return all(runs.find(folder, task.fingerprint(clip, layer, self.context)) for layer in clip.layers)

    def _manifest(self, clip: Clip, layer: Layer, stack: GuideStack) -> Callable[[], Manifest]:
        """Return a function that builds a layer's manifest, which changes when the style is trained."""
        frames = clip.sequence_fingerprint
        fingerprint = self.task.fingerprint(clip, layer, self.context)
        painted = (clip.keyframe_folder(layer), clip.keyframe_masks(layer))
        files = {str(path.relative_to(clip.path)): digest(path) for each in painted for path in each.files.values()}
        folders = [*([clip.filtered] if self.task.filtered else []), *stack.folders]

        def manifest() -> Manifest:
            best = runs.find(clip.runs(self.task.name), fingerprint)
            config = {"task": describe(self.task), "seed": self.context.seed}
            if self.quality == "good":
                config |= {"quality": self.quality, "strokes": describe(self.strokes)}
            if self._blends:
                config["blend"] = describe(self.blend)
            weights = "untrained" if best is None else best.weights_fingerprint
            inputs = {"frames": frames, "keyframes": fingerprint["references"], "weights": weights}
            inputs |= {str(folder.path.relative_to(clip.path)): fingerprint_of(folder) for folder in folders}
            keys = {"task": "model.style", "seed": "seed", "quality": "quality"}
            keys |= {name: f"stage.{self.name}.{name}" for name in ("strokes", "blend")}
            return Manifest(self.name, self.version, config, inputs, fit_report={FILES: files}, keys=keys)

        return manifest

    def _stylise(self, clip: Clip, layer: Layer) -> None:
        stack = GuideStack(clip, layer, self.task.guides)
        manifest = self._manifest(clip, layer, stack)

        def begin(_: list[str]) -> Maker:
            best = self.task.find_or_train(clip, layer, self.context, stack)
            module = load(self.task.build(), best.weights)
            assert isinstance(module, StyleModule)
            fold_normalisation(module.generator)
            stylise = partial(self._frames, clip, layer, stack, module)
            return stylise if self.blend is None else partial(self.blend.blend, clip, self.task.frames(clip), stylise)

        each_device = partial(share_out, self.context)
        self.complete(clip, clip.styled(layer), clip.stems, manifest, begin, each_device)

    def _frames(
        self, clip: Clip, layer: Layer, stack: GuideStack, module: StyleModule, stems: list[str]
    ) -> Iterator[tuple[str, Image]]:
        """Yield the named frames of a layer in its style."""
        painted = self._painted(clip, stack, module, stems)
        return self.strokes.apply(clip, layer, painted) if self.quality == "good" else painted

    def _painted(
        self, clip: Clip, stack: GuideStack, module: StyleModule, stems: list[str]
    ) -> Iterator[tuple[str, Image]]:
        """Yield the named frames as the network paints them."""
        runner = prepare_inference(module, self.context)
        height, width = clip.size
        batch_size = self.batch or (1 if runner.device.type == "cpu" else max(1, BATCH_PIXELS // (height * width)))
        if self.compiled:
            shape = (min(batch_size, len(stems)), COLOURS + stack.channels, height, width)
            with runner.forward_context():
                example = torch.zeros(shape, device=runner.device)
                compile_and_warm_up(module.generator, module.stylise, example)
        guided = prefetch_map(lambda stem: (stem, stack.read(stem)), stems, 2 * batch_size)
        frames = self.task.frames(clip).read_ahead(stems, depth=2 * batch_size + 2)
        pictures = (
            (stem, np.concatenate([image, channels], axis=2))
            for (stem, image), (_, channels) in zip(frames, guided, strict=True)
        )

        def compute(images: Tensor) -> Tensor:
            """Stylise (B, H, W, 3 + c) uint8 to (B, H, W, 3) uint8."""
            styled = module.stylise(images.permute(0, 3, 1, 2).float() / 127.5 - 1)
            return styled.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

        batches = (
            ([stem for stem, _ in items], [np.stack([image for _, image in items])])
            for items in _batches(pictures, batch_size)
        )
        for names, made in runner.stream(compute, batches):
            yield from zip(names, made, strict=True)


def _batches(
    pictures: Iterable[tuple[str, NDArray[np.uint8]]], count: int
) -> Iterator[list[tuple[str, NDArray[np.uint8]]]]:
    """Yield lists of ``count`` images, the last one shorter."""
    remaining = iter(pictures)
    while batch := list(islice(remaining, count)):
        yield batch
