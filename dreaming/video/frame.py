"""Conversion of decoded video frames to upright RGB images."""

from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from dreaming.io.types import Image
from dreaming.video.colour import Colours, SrgbConverter

# AVCOL_SPC_*: RGB, BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020; 2 is "unspecified".
_NAMED_MATRICES = {0, 1, 4, 5, 6, 7, 9}
UNSUPPORTED_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT-C2"}
"""Matrices (AVCOL_SPC_*) that swscale replaces by another one, by number."""

_FORMATS = {(False, True): "rgb24", (False, False): "rgb48le", (True, True): "rgba", (True, False): "rgba64le"}
"""Pixel formats by whether there is transparency, and whether the values are sRGB already."""


def is_plausible(pixel_aspect: Fraction | None) -> TypeGuard[Fraction]:
    """Whether a pixel may be that many times as wide as high; 2 is common, and damaged files declare anything."""
    return pixel_aspect is not None and Fraction(1, 8) <= pixel_aspect <= 8


class FrameConverter:
    """Converter of decoded frames to upright RGB; one per video, because it caches the conversion's tables."""

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        self._aspect = pixel_aspect if is_plausible(pixel_aspect) else Fraction(1)
        self._reformatter = VideoReformatter()
        self._to_srgb: dict[tuple[int, int], SrgbConverter | None] = {}

    def __call__(self, frame: Any) -> Image:
        """Convert a frame to RGB (H, W, 3), or RGBA (H, W, 4) over black if any pixel is transparent."""
        unnamed = frame.colorspace not in _NAMED_MATRICES and frame.format.name.startswith("yuv")
        hd = frame.width >= 1280 or frame.height > 576
        to_srgb = self._converter(frame)
        transparent = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
        rgb = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * self._aspect)),
            format=_FORMATS[transparent, to_srgb is None],
            src_colorspace=(Colorspace.ITU709 if hd else Colorspace.ITU601) if unnamed else None,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )
        values = rgb.to_ndarray()
        colours = values[..., :3]
        image = np.asarray(colours, np.uint8) if to_srgb is None else to_srgb(np.asarray(colours, np.uint16))
        if transparent:
            opacity = values[..., 3:] // np.array(1 if to_srgb is None else 257, values.dtype)
            if opacity.min() < 255:
                # Over black, so that colours of hidden pixels never show.
                image = np.dstack([np.rint(image * (opacity / 255)), opacity]).astype(np.uint8)
        return np.ascontiguousarray(_apply_display_matrix(image, *_display_matrix(frame)))

    def _converter(self, frame: Any) -> SrgbConverter | None:
        """The frame's conversion to sRGB, with the peak of the first such frame, so that brightness does not jump."""
        key = frame.color_primaries, frame.color_trc
        if key not in self._to_srgb:
            colours = Colours.of(frame)
            self._to_srgb[key] = None if colours.is_srgb else SrgbConverter(colours)
        return self._to_srgb[key]


def rotation_of(frame: Any) -> tuple[int, float]:
    """Clockwise rotation that makes a frame upright, in degrees: 0, 90, 180 or 270, and what its matrix declares."""
    a, b, _, _ = _display_matrix(frame)
    exact = float(np.degrees(np.arctan2(b, a))) % 360
    return (90 if b > 0 else 270) if abs(b) > abs(a) else (180 if a < 0 else 0), exact


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Coefficients of the map from (x, y) to (a x + c y, b x + d y)."""
    matrix = next((bytes(data) for data in frame.side_data if data.type is SideData.DISPLAYMATRIX), None)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(matrix, np.int32, count=5).tolist()
    return a, b, c, d


def _apply_display_matrix(image: Image, a: int, b: int, c: int, d: int) -> Image:
    """Rotate by quarter turns and mirror."""
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
