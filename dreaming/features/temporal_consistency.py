"""Temporal consistency of maskers: a frame's mask compared with those of its neighbours, warped along the flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.flow.warp import consistent, warp
from dreaming.imaging.resize import resize_image
from dreaming.io.frame_folder import FrameFolder


@dataclass(frozen=True, eq=False)
class TemporalConsistency:
    """Compares the masks of neighbouring frames along the clip's optical flow.

    Attributes:
        flows: Its optical flow.
    """

    clip: Clip
    flows: FlowCache

    @classmethod
    def for_clip(cls, clip: Clip, flow: DisFlow) -> Self:
        """Compute the clip's flow where it is missing."""
        flows = FlowCache(clip, flow)
        flows.complete()
        return cls(clip, flows)

    def inconsistency(self, folders: Sequence[FrameFolder], stem: str) -> NDArray[np.uint8]:
        """Mean difference of each masker's mask from its own masks of the neighbouring frames, warped to this one.

        The mean is taken over the neighbours that show the pixel; it is 0 where none does.

        Args:
            folders: Folders of the masks of M maskers, including those of the neighbours.
            stem: Name of the frame.

        Returns:
            (M, H, W), from 0 (equal) to 255 (opposite).
        """
        size = self.clip.size
        differences = np.zeros((len(folders), *size), np.float32)
        counts = np.full(size, 1e-6, np.float32)
        masks = [folder.read_probability(stem, size) for folder in folders]
        for neighbour in dilate(self.clip.shots, [stem], 1):
            if neighbour == stem:
                continue
            there, back = self.flows.both_ways(stem, neighbour)
            visible = resize_image(consistent(there, back).astype(np.float32), size)
            flow = self.flows.between(stem, neighbour)
            for index, (folder, mask) in enumerate(zip(folders, masks, strict=True)):
                differences[index] += visible * np.abs(mask - warp(folder.read_probability(neighbour, size), flow))
            counts += visible
        return np.rint(255 * np.clip(differences / counts, 0, 1)).astype(np.uint8)
