"""Batches for segmenters, out of a few hand-masked frames."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dreaming.clip.annotations import References
from dreaming.data.augment import ColorJitter, GeometricAugmentation, resample
from dreaming.data.base import MaskSample, RawCrops, RawFrames, SteppedDataModule
from dreaming.errors import MaskError
from dreaming.imaging.colour_statistics import ColourStatistics
from dreaming.imaging.resize import working_size
from dreaming.io.types import Size
from dreaming.networks.position import coordinates, mirrored


class WholeFrames(Dataset[RawFrames]):
    """Hand-masked frames, one an item.

    Args:
        pixels: (K, H, W, 4) uint8.
        features: (K, h, w, E), where there is any.
    """

    def __init__(self, pixels: Tensor, features: Tensor | None = None) -> None:
        self.pixels, self.features = pixels, features

    def __getitem__(self, place: int) -> RawFrames:
        if self.features is None:
            return RawFrames(pixels=self.pixels[place])
        return RawFrames(pixels=self.pixels[place], features=self.features[place])

    def __len__(self) -> int:
        return len(self.pixels)


class SegmentationDataModule(SteppedDataModule):
    """Random crops to train on, whole frames to validate on; frames are held once, as uint8.

    Args:
        train: Hand-masked frames to learn from.
        valid: Those to judge by, at full resolution; None for a final fit, which has no one to judge it.
        statistics: The clip's colours, for the colour jitter.
        made_up: Further frames to learn from, of any size.
        synthetic_share: Share of crops that are taken from them.
        features: What is known of each frame of ``train``, then of ``made_up``, from others, in one or more versions,
            of which every crop draws one: (V, h, w, E) for each frame, at any size. None: nothing.
        valid_features: The same for ``valid``, one version each.
        crop: Side of a crop in pixels, at the working resolution.
        short_side: The working resolution: frames to train on are brought down to this shorter side in pixels; None:
            as they are. Give the model the same.
        batch_size: Crops a training batch.
        valid_batch: Frames a validation batch.
        foreground_share: Share of crops centred on the subject or on the ``surroundings`` of its outline; the others
            lie anywhere.
        foreground_margin: How far from the subject such a centre may lie, in working pixels.
        overhang: Share of a crop's side that may stick out of the frame, mirrored there.
        geometry: How crops are bent; None: not at all.
        lighting: How crops are lit; None: as they are.
        steps_per_epoch: Where Lightning ends an epoch.
        seed: Of all random draws.

    Raises:
        MaskError: If there is nothing to learn from, or nothing but foreground or background.
    """

    kind: ClassVar[str] = "segmentation_data_module"

    def __init__(
        self,
        train: References,
        valid: References | None,
        statistics: ColourStatistics,
        *,
        synthetic: References | None = None,
        synthetic_share: float = 0.3,
        features: Sequence[NDArray[Any]] | None = None,
        valid_features: Sequence[NDArray[Any]] | None = None,
        crop: int = 256,
        short_side: int | None = None,
        batch_size: int = 8,
        valid_batch: int = 1,
        foreground_share: float = 0.5,
        foreground_margin: int = 16,
        overhang: float = 0.1,
        geometry: GeometricAugmentation | None = None,
        color_jitter: ColorJitter | None = None,
        steps_per_epoch: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, steps_per_epoch=steps_per_epoch, seed=seed)
        if not train.masks.any() or train.masks.all():
            raise MaskError(
                ", ".join(train.stems) or "hand masks",
                found="nothing but foreground" if train.masks.any() else "no foreground pixel",
                expected="subject and background to learn from",
                hint="paint the subject in at least one of the frames",
            )
        self.crop, self.foreground_share, self.overhang = crop, foreground_share, overhang
        self.valid_batch, self.geometry, self.color_jitter = valid_batch, geometry, color_jitter
        self.components = torch.from_numpy(statistics.components.copy()).float()
        self.variances = torch.from_numpy(statistics.variances.copy()).float()
        size = working_size(train.size, short_side)
        self.pixels = stack(train, size)
        self.painted, self.synthetic_share = len(train), synthetic_share if synthetic is not None else 0.0
        if synthetic is not None:
            self.pixels = torch.cat([self.pixels, stack(synthetic, size)])
        self.valid_pixels = stack(valid, valid.size) if valid is not None else None
        self.subject = [near(mask, foreground_margin) for mask in self.pixels[..., 3].numpy() > 0]
        self.features = None
        if features is not None:
            self.features = torch.cat(
                [resized(versions, (self.pixels.shape[1], self.pixels.shape[2])) for versions in features]
            )
            self.versions = torch.tensor([len(versions) for versions in features])
        self.valid_features = None if valid_features is None else torch.from_numpy(np.stack(valid_features))

    def make_batch(self, step: int) -> RawCrops:
        """Crops with headroom for the geometry, by one gather for the whole batch."""
        generator = self.generator(step, "draw")
        _, height, width, _ = self.pixels.shape
        headroom = self.geometry.headroom(self.crop) if self.geometry is not None else 0
        frame, centres = self._centres(generator)
        over = round(self.overhang * self.crop)
        origins = []
        for centre, length in zip(centres, (height, width), strict=True):
            room = max(length - self.crop, 0) + over
            origins.append((centre - self.crop // 2).clamp(min(length - self.crop, 0) - over, room) - headroom)
        side = torch.arange(self.crop + 2 * headroom)
        rows, columns = (
            mirrored(first[:, None] + side, length) for first, length in zip(origins, (height, width), strict=True)
        )
        pixels = self.gathered(frame, rows, columns)
        crops = RawCrops(pixels=pixels, origin=torch.stack(origins, dim=1), step=step)
        if self.features is not None:
            version = (torch.rand(self.batch_size, generator=generator) * self.versions[frame]).long()
            version += (self.versions.cumsum(0) - self.versions)[frame]
            crops["features"] = self.features[version[:, None, None], rows[:, :, None], columns[:, None, :]]
        return crops

    def gathered(self, frame: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Pixels (B, S, S, 4) of the named frames (B,), rows and columns (B, S)."""
        # A pixel's four bytes are moved as one number.
        words = self.pixels.view(torch.int32)[..., 0]
        return words[frame[:, None, None], rows[:, :, None], columns[:, None, :]][..., None].view(torch.uint8)

    def _centres(self, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Frame number, and (y, x) of the crop's centre pixel: (B,) each."""
        count, height, width, _ = self.pixels.shape
        frame = torch.randint(self.painted, (self.batch_size,), generator=generator)
        if self.synthetic_share:
            other = torch.randint(self.painted, count, (self.batch_size,), generator=generator)
            synthetic = torch.rand(self.batch_size, generator=generator) < self.synthetic_share
            frame = torch.where(synthetic, other, frame)
        anywhere = torch.randint(height * width, (self.batch_size,), generator=generator)
        pick = torch.rand(self.batch_size, generator=generator)
        focused = torch.rand(self.batch_size, generator=generator) < self.foreground_share
        for place in focused.nonzero()[:, 0].tolist():
            subject = self.subject[int(frame[place])]
            if len(subject):
                anywhere[place] = subject[int(pick[place] * len(subject))]
        return frame, (anywhere // width, anywhere % width)

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Whole frames; no loader without frames to validate on."""
        if self.valid_pixels is None:
            return []
        return DataLoader(WholeFrames(self.valid_pixels, self.valid_features), batch_size=self.valid_batch)

    def on_after_batch_transfer(self, batch: RawCrops | RawFrames, dataloader_idx: int = 0) -> MaskSample:
        """Make a sample of what was drawn, on the device it is on now; crops are augmented."""
        if "step" in batch:
            return cast(MaskSample, self.share(self.augmented(cast(RawCrops, batch))))
        pixels = batch["pixels"]
        count, height, width, _ = pixels.shape
        places = coordinates((height, width), device=pixels.device).expand(count, -1, -1, -1)
        sample = self.sample(pixels.movedim(3, 1).float() / 255, places)
        if "features" in batch:
            sample["features"] = batch["features"].movedim(3, 1).float()
        return sample

    def sample(self, pixels: Tensor, places: Tensor) -> MaskSample:
        """What a batch of pixels (B, 4, H, W) in 0..1 holds, or (B, 4 + E, H, W) with evidence."""
        sample = MaskSample(image=pixels[:, :3], mask=(pixels[:, 3:4] > 0.5).float(), coordinates=places)
        if pixels.shape[1] > 4:
            sample["features"] = pixels[:, 4:]
        return sample

    def augmented(self, crops: RawCrops) -> MaskSample:
        """Crops bent and lit anew; each pixel keeps the place in the frame that it was taken from."""
        pixels = crops["pixels"].movedim(3, 1).float() / 255  # (B, 4 + E, S, S)
        if "features" in crops:
            pixels = torch.cat([pixels, crops["features"].movedim(3, 1)], dim=1)
        generator = self.generator(crops["step"], "augment", pixels.device)
        count, side = len(pixels), pixels.shape[-1]
        geometry = self.geometry or GeometricAugmentation()
        offsets = geometry.places(count, self.crop, pixels, generator)
        if self.geometry is not None:
            pixels = resample(pixels, offsets)
        frame = torch.tensor([self.pixels.shape[2], self.pixels.shape[1]], device=pixels.device)
        # Offsets count from the crop's centre; half a pixel makes an index the place of its pixel's centre.
        first = crops["origin"].flip(1)[:, None, None] + (side - 1) / 2 + 0.5
        sample = self.sample(pixels, ((offsets + first) / frame - 0.5).movedim(3, 1))
        if self.color_jitter is not None:
            to = pixels.device
            sample["image"] = self.color_jitter(
                sample["image"], self.components.to(to), self.variances.to(to), generator
            )
        return sample


def resized(versions: NDArray[Any], size: Size) -> Tensor:
    """Maps (V, h, w, E) brought to another size, as they were stored."""
    maps = torch.from_numpy(versions)
    if versions.shape[1:3] == tuple(size):
        return maps
    full = F.interpolate(maps.movedim(3, 1).float(), tuple(size), mode="bilinear", antialias=True)
    return full.movedim(1, 3).to(maps.dtype).contiguous()


def stack(references: References, size: Size) -> Tensor:
    """Frames and masks as one tensor (K, H, W, 4) uint8, the mask as 0 or 255, averaged down to a size."""
    height, width = size
    pixels = np.empty((len(references), height, width, 4), np.uint8)
    for place, (image, mask) in enumerate(zip(references.images, references.masks, strict=True)):
        full = np.dstack([image, mask * np.uint8(255)])
        pixels[place] = (
            full if size == references.size else cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
        )
    pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
    return torch.from_numpy(pixels)


def near(mask: NDArray[np.bool_], distance: int) -> Tensor:
    """Flat indices of the pixels of a mask (H, W) and of those at most ``distance`` pixels from it."""
    if not mask.any():
        return torch.empty(0, dtype=torch.int64)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return torch.from_numpy(np.flatnonzero(away <= distance))
