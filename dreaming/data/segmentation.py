"""Batches for segmentation networks from a few hand-masked frames."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, StackDataset

from dreaming.clip.annotations import References
from dreaming.constraints import BatchSize, ImageSide, NonNegativeInt, Seed, UnitFloat
from dreaming.data.augment import ColorJitter, GeometricAugmentation, resample
from dreaming.data.base import MaskSample, RawCrops, RawFrames, SteppedDataModule
from dreaming.errors import MaskError
from dreaming.imaging.colour_statistics import ColourStatistics
from dreaming.imaging.resize import working_size
from dreaming.io.types import Size
from dreaming.networks.position import coordinates, mirrored


class SegmentationDataModule(SteppedDataModule):
    """Random crops for training and whole frames for validation; frames are kept in memory once, as uint8.

    Args:
        train: Hand-masked frames to train on.
        valid: Frames to validate on, at full resolution; None: no validation, as in a final fit.
        statistics: Colour statistics of the clip, for the colour jitter.
        synthetic: Synthetic frames to train on in addition, of any size.
        synthetic_share: Share of crops taken from them.
        features: Features of each frame of ``train``, then of ``synthetic``, in one or more versions of which each crop
            draws one: (V, h, w, E) per frame, at any size; bytes stand for 0..1. None: none.
        valid_features: The same for ``valid``, one version each.
        crop: Side of a crop in pixels, at the working size.
        short_side: Working size: shorter side in pixels to which training frames are reduced; None: full size. The
            model must use the same.
        batch_size: Crops per training batch.
        valid_batch: Frames per validation batch.
        foreground_share: Share of crops centred on the subject or its margin; the others lie anywhere.
        foreground_margin: Width of that margin around the subject, in working pixels.
        overhang: Share of a crop's side that may extend beyond the frame, where the frame is mirrored.
        geometry: Geometric augmentation; None: none.
        color_jitter: Colour augmentation; None: none.
        steps_per_epoch: Steps per Lightning epoch.
        seed: Seed of all random draws.

    Raises:
        MaskError: If the hand masks hold only foreground or only background.
    """

    kind: ClassVar[str] = "segmentation_data_module"

    def __init__(
        self,
        train: References,
        valid: References | None,
        statistics: ColourStatistics,
        *,
        synthetic: References | None = None,
        synthetic_share: UnitFloat = 0.3,
        features: Sequence[NDArray[Any]] | None = None,
        valid_features: Sequence[NDArray[Any]] | None = None,
        crop: ImageSide = 256,
        short_side: ImageSide | None = None,
        batch_size: BatchSize = 8,
        valid_batch: BatchSize = 1,
        foreground_share: UnitFloat = 0.5,
        foreground_margin: NonNegativeInt = 16,
        overhang: UnitFloat = 0.1,
        geometry: GeometricAugmentation | None = None,
        color_jitter: ColorJitter | None = None,
        steps_per_epoch: int = 100,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, steps_per_epoch=steps_per_epoch, seed=seed)
        if not train.masks.any() or train.masks.all():
            raise MaskError(
                ", ".join(train.stems) or "hand masks",
                found="only foreground" if train.masks.any() else "no foreground pixel",
                expected="subject and background",
                hint="paint the subject in at least one of the frames",
            )
        self.crop, self.foreground_share, self.overhang = crop, foreground_share, overhang
        self.valid_batch, self.geometry, self.color_jitter = valid_batch, geometry, color_jitter
        self.components = torch.from_numpy(statistics.components.copy()).float()
        self.variances = torch.from_numpy(statistics.variances.copy()).float()
        size = working_size(train.size, short_side)
        self.pixels = stack_frames(train, size)
        self.train_count, self.synthetic_share = len(train), synthetic_share if synthetic is not None else 0.0
        if synthetic is not None:
            self.pixels = torch.cat([self.pixels, stack_frames(synthetic, size)])
        self.valid_pixels = stack_frames(valid, valid.size) if valid is not None else None
        self.foreground = [foreground_pixels(mask, foreground_margin) for mask in self.pixels[..., 3].numpy() > 0]
        self.features = None
        if features is not None:
            self.features = torch.cat(
                [resize_features(versions, (self.pixels.shape[1], self.pixels.shape[2])) for versions in features]
            )
            self.versions = torch.tensor([len(versions) for versions in features])
        self.valid_features = None if valid_features is None else torch.from_numpy(np.stack(valid_features))

    def make_batch(self, step: int) -> RawCrops:
        """Draw crops with headroom for the geometric augmentation, by one gather.

        Random numbers are drawn for the whole batch, so that several devices train on the same batch as one. Only this
        device's crops are gathered.
        """
        rows_here = self.local_rows
        generator = self.generator(step, "draw")
        _, height, width, _ = self.pixels.shape
        headroom = self.geometry.headroom(self.crop) if self.geometry is not None else 0
        frame, centres = self._centres(generator)
        over = round(self.overhang * self.crop)
        origins = []
        for centre, length in zip(centres, (height, width), strict=True):
            room = max(length - self.crop, 0) + over
            origins.append((centre - self.crop // 2).clamp(min(length - self.crop, 0) - over, room) - headroom)
        origins, drawn = [origin[rows_here] for origin in origins], frame
        frame = frame[rows_here]
        side = torch.arange(self.crop + 2 * headroom)
        rows, columns = (
            mirrored(first[:, None] + side, length) for first, length in zip(origins, (height, width), strict=True)
        )
        # The four bytes of a pixel are moved as one integer.
        words = self.pixels.view(torch.int32)[..., 0]
        words = words[frame[:, None, None], rows[:, :, None], columns[:, None, :]]
        crops = RawCrops(pixels=words[..., None].view(torch.uint8), origin=torch.stack(origins, dim=1), step=step)
        if self.features is not None:
            version = (torch.rand(self.batch_size, generator=generator) * self.versions[drawn]).long()
            version = (version + (self.versions.cumsum(0) - self.versions)[drawn])[rows_here]
            crops["features"] = self.features[version[:, None, None], rows[:, :, None], columns[:, None, :]]
        return crops

    def _centres(self, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Frame index, and (y, x) of the crop's centre pixel: (B,) each."""
        count, height, width, _ = self.pixels.shape
        frame = torch.randint(self.train_count, (self.batch_size,), generator=generator)
        if self.synthetic_share:
            other = torch.randint(self.train_count, count, (self.batch_size,), generator=generator)
            synthetic = torch.rand(self.batch_size, generator=generator) < self.synthetic_share
            frame = torch.where(synthetic, other, frame)
        anywhere = torch.randint(height * width, (self.batch_size,), generator=generator)
        pick = torch.rand(self.batch_size, generator=generator)
        focused = torch.rand(self.batch_size, generator=generator) < self.foreground_share
        for index in focused.nonzero()[:, 0].tolist():
            foreground = self.foreground[int(frame[index])]
            if len(foreground):
                anywhere[index] = foreground[int(pick[index] * len(foreground))]
        return frame, (anywhere // width, anywhere % width)

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Load whole frames; an empty list without frames to validate on."""
        if self.valid_pixels is None:
            return []
        planes: dict[str, Any] = {"pixels": self.valid_pixels}
        if self.valid_features is not None:
            planes["features"] = self.valid_features
        return DataLoader(StackDataset(**planes), batch_size=self.valid_batch)

    def on_after_batch_transfer(self, batch: RawCrops | RawFrames, dataloader_idx: int = 0) -> MaskSample:
        """Convert a batch to a sample on the device; augment crops."""
        if "step" in batch:
            return self.augmented(cast(RawCrops, batch))
        pixels = batch["pixels"]
        count, height, width, _ = pixels.shape
        positions = coordinates((height, width), device=pixels.device).expand(count, -1, -1, -1)
        sample = _sample(_scaled(pixels), positions)
        if "features" in batch:  # of another size
            sample["features"] = _scaled(batch["features"])
        return sample

    def augmented(self, crops: RawCrops) -> MaskSample:
        """Augment geometry and colour of crops; each pixel keeps the coordinates from which it was sampled."""
        planes = [_scaled(planes) for planes in (crops["pixels"], crops.get("features")) if planes is not None]
        pixels = torch.cat(planes, dim=1)  # (B, 4 + E, S, S)
        generator = self.generator(crops["step"], "augment", pixels.device)
        side, rows = pixels.shape[-1], self.local_rows
        geometry = self.geometry or GeometricAugmentation()
        offsets = geometry.positions(self.batch_size, self.crop, pixels, generator)[rows]
        if self.geometry is not None:
            pixels = resample(pixels, offsets)
        frame = torch.tensor([self.pixels.shape[2], self.pixels.shape[1]], device=pixels.device)
        # Offsets are relative to the crop's centre; half a pixel converts an index to the centre of its pixel.
        first = crops["origin"].flip(1)[:, None, None] + (side - 1) / 2 + 0.5
        sample = _sample(pixels, ((offsets + first) / frame - 0.5).movedim(3, 1))
        if self.color_jitter is not None:
            to = pixels.device
            sample["image"] = self.color_jitter(
                sample["image"], self.components.to(to), self.variances.to(to), generator, self.batch_size, rows
            )
        return sample


def _scaled(planes: Tensor) -> Tensor:
    """Convert planes (B, H, W, C) to (B, C, H, W) float32, bytes to 0..1."""
    scaled = planes.movedim(3, 1).float()
    return scaled / 255 if planes.dtype == torch.uint8 else scaled


def _sample(pixels: Tensor, positions: Tensor) -> MaskSample:
    """Split pixels (B, 4, H, W), or (B, 4 + E, H, W) with features, into a sample."""
    sample = MaskSample(image=pixels[:, :3], mask=(pixels[:, 3:4] > 0.5).float(), coordinates=positions)
    if pixels.shape[1] > 4:
        sample["features"] = pixels[:, 4:]
    return sample


def resize_features(versions: NDArray[Any], size: Size) -> Tensor:
    """Resize features (V, h, w, E), keeping their type."""
    maps = torch.from_numpy(versions)
    if versions.shape[1:3] == tuple(size):
        return maps
    full = F.interpolate(maps.movedim(3, 1).float(), tuple(size), mode="bilinear", antialias=True)
    return full.movedim(1, 3).to(maps.dtype).contiguous()


def stack_frames(references: References, size: Size) -> Tensor:
    """Stack frames and masks (0 or 255) in one tensor (K, H, W, 4) uint8, reduced to a size by averaging."""
    height, width = size
    pixels = np.empty((len(references), height, width, 4), np.uint8)
    for index, (image, mask) in enumerate(zip(references.images, references.masks, strict=True)):
        full = np.dstack([image, mask * np.uint8(255)])
        pixels[index] = (
            full if size == references.size else cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
        )
    pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
    return torch.from_numpy(pixels)


def foreground_pixels(mask: NDArray[np.bool_], margin: int) -> Tensor:
    """Flat indices of the pixels of a mask (H, W) and of those at most ``margin`` pixels from it."""
    if not mask.any():
        return torch.empty(0, dtype=torch.int64)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return torch.from_numpy(np.flatnonzero(distance <= margin))
