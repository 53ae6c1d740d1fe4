"""How well a masker agrees with itself: its map of a frame beside those of the frames around, carried there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.flow.warp import consistent, warp
from dreaming.imaging.resize import resize_image
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Probability


@dataclass(frozen=True, eq=False)
class TemporalConsistency:
    """Compares maps of neighbouring frames along the clip's flow.

    Attributes:
        clip: The clip.
        flows: Its flow.
    """

    clip: Clip
    flows: FlowCache

    @classmethod
    def for_clip(cls, clip: Clip, flow: DisFlow) -> Self:
        """With the clip's flow, computed where it is not there yet."""
        flows = FlowCache(clip, flow)
        flows.complete()
        return cls(clip, flows)

    def inconsistency(self, folders: Sequence[FrameFolder], stem: str) -> NDArray[np.uint8]:
        """By how much each masker's map differs from its own maps of the neighbours, carried here.

        A mean over the neighbours in which a pixel is seen; 0 where it is seen in none, which nobody can be blamed for.

        Args:
            folders: Where each of M maskers' maps lie, those of the neighbours too.
            stem: Name of the frame.

        Returns:
            (M, H, W), 0 for the same to 255 for the opposite.
        """
        size = self.clip.size
        differences = np.zeros((len(folders), *size), np.float32)
        counts = np.full(size, 1e-6, np.float32)
        here = [folder.read_probability(stem, size) for folder in folders]
        for near in dilate(self.clip.stems, [stem], 1):
            if near == stem:
                continue
            there, back = self.flows.both_ways(stem, near)
            seen = resize_image(consistent(there, back).astype(np.float32), size)
            flow = self.flows.between(stem, near)
            for place, (folder, own) in enumerate(zip(folders, here, strict=True)):
                differences[place] += seen * np.abs(own - self._carried(folder, near, flow))
            counts += seen
        return np.rint(255 * np.clip(differences / counts, 0, 1)).astype(np.uint8)

    def _carried(self, folder: FrameFolder, near: str, flow: NDArray[np.float32]) -> Probability:
        return warp(folder.read_probability(near, self.clip.size), flow, border=cv2.BORDER_REPLICATE)
