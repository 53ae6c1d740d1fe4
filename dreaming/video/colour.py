"""Conversion of a video's primaries and transfer function to sRGB, with tone mapping of HDR (NumPy)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeAlias

import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from dreaming.io.types import Image

Curve: TypeAlias = NDArray[np.float32]
"""Values of a function at 65536 equidistant arguments in 0..1."""

SDR_WHITE = 203.0
"""Luminance of an HDR signal that becomes white, in cd/m² (ITU-R BT.2408: HDR reference white)."""
HLG_PEAK = 1000.0
"""Peak luminance of the display that HLG is rendered for, in cd/m² (ITU-R BT.2100)."""
_PQ_PEAK = 1000.0
"""Peak luminance of a PQ video without metadata, in cd/m²."""

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
# Chromaticities x, y of red, green, blue and white (ITU-T H.273, table 2).
_PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    ColorPrimaries.BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    ColorPrimaries.BT470M: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    ColorPrimaries.BT470BG: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    ColorPrimaries.SMPTE170M: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65),
    ColorPrimaries.SMPTE240M: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65),
    ColorPrimaries.FILM: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    ColorPrimaries.SMPTE431: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    ColorPrimaries.EBU3213: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
_POWERS: dict[int, float] = {ColorTrc.GAMMA22: 2.2, ColorTrc.GAMMA28: 2.8, ColorTrc.LINEAR: 1.0, ColorTrc.SMPTE428: 2.6}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Colours(NamedTuple):
    """How the RGB values of a video's frames are to be understood."""

    primaries: int
    transfer: int
    peak: float
    """Peak luminance of an HDR video, in cd/m²; 0 for SDR."""

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Read a frame's declared colours; without any, SDR has the primaries of BT.709 and HDR those of BT.2020."""
        transfer, primaries = frame.color_trc, frame.color_primaries
        if primaries not in _PRIMARIES:
            primaries = ColorPrimaries.BT2020 if transfer in _HDR else ColorPrimaries.BT709
        if transfer not in _HDR:
            return cls(primaries, transfer if transfer in _POWERS else ColorTrc.BT709, 0.0)
        return cls(primaries, transfer, _peak(frame) if transfer == ColorTrc.SMPTE2084 else HLG_PEAK)

    @property
    def is_srgb(self) -> bool:
        """Whether players show the values unchanged on an sRGB display, as they do with BT.709 video."""
        return self.primaries == ColorPrimaries.BT709 and self.transfer == ColorTrc.BT709


@dataclass(frozen=True)
class SrgbConverter:
    """Converter of RGB values to sRGB.

    SDR is shown as on an sRGB display. HDR is tone-mapped by ITU-R BT.2390-11, section 5.4.1, applied to the largest
    component of a pixel, which keeps its hue. Colours outside the gamut of sRGB are clipped.

    Attributes:
        colours: The colours of the source.
    """

    colours: Colours

    def __call__(self, image: NDArray[np.uint16]) -> Image:
        """Convert an image (H, W, 3) of 16 bits to one of 8 bits."""
        linear = self._decoding[image]
        if self.colours.transfer == ColorTrc.ARIB_STD_B67:
            luminance = linear @ _rgb_to_xyz(self.colours.primaries)[1].astype(np.float32)
            linear *= np.power(luminance, 0.2)[..., None]  # the OOTF of BT.2100 for a peak of 1000 cd/m²
            codes = np.rint(np.sqrt(np.minimum(linear.max(axis=2), 1)) * 65535).astype(np.uint16)
            linear *= self._gain[codes][..., None]
        elif self.colours.transfer == ColorTrc.SMPTE2084:
            linear *= self._gain[image.max(axis=2)][..., None]
        linear = cv2.transform(linear, self._matrix)
        return _srgb_encoding()[np.rint(np.clip(linear, 0, 1) * 65535).astype(np.uint16)]

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        """Map from linear RGB of the source to linear sRGB."""
        return (np.linalg.inv(_rgb_to_xyz(ColorPrimaries.BT709)) @ _rgb_to_xyz(self.colours.primaries)).astype(
            np.float32
        )

    @cached_property
    def _decoding(self) -> Curve:
        """Light of each code value: 1 for white, or for the peak of HLG; of PQ in cd/m² over 203."""
        code = np.linspace(0, 1, 65536)
        transfer = self.colours.transfer
        if transfer == ColorTrc.SMPTE2084:
            light = pq_to_nits(code) / SDR_WHITE
        elif transfer == ColorTrc.ARIB_STD_B67:
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        elif transfer in _POWERS:
            light = code ** _POWERS[transfer]
        else:
            light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        return light.astype(np.float32)

    @cached_property
    def _gain(self) -> Curve:
        """Factor by which tone mapping changes the light of each code value of the largest component."""
        if self.colours.transfer == ColorTrc.SMPTE2084:
            light = self._decoding.astype(float)
        else:
            light = np.linspace(0, 1, 65536) ** 2
        nits = light * (SDR_WHITE if self.colours.transfer == ColorTrc.SMPTE2084 else HLG_PEAK)
        return (tone_map(nits, self.colours.peak) / SDR_WHITE / np.maximum(light, 1e-9)).astype(np.float32)


def pq_to_nits(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luminance in cd/m² of PQ code values in 0..1 (SMPTE ST 2084)."""
    root = np.power(code, 1 / 78.84375)
    return 10000 * np.power(np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root), 1 / 0.1593017578125)


def nits_to_pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ code values in 0..1 of a luminance in cd/m² (SMPTE ST 2084)."""
    root = np.power(np.clip(nits / 10000, 0, 1), 0.1593017578125)
    return np.power((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root), 78.84375)


def tone_map(nits: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Compress a luminance in 0..``peak`` to 0..203 cd/m² (ITU-R BT.2390-11, section 5.4.1); dark tones keep theirs."""
    if peak <= SDR_WHITE:
        return np.minimum(nits, SDR_WHITE)
    scale, limit = nits_to_pq(np.array([peak, SDR_WHITE]))
    limit /= scale
    knee = 1.5 * limit - 0.5
    value = np.minimum(nits_to_pq(nits) / scale, 1)
    t = np.maximum(value - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * limit
    return np.where(value < knee, nits, pq_to_nits(spline * scale))


def _peak(frame: Any) -> float:
    """Peak luminance from a frame's MaxCLL, or that of its mastering display, or 1000; in cd/m²."""
    data = {side.type: bytes(side) for side in frame.side_data}
    found = 0.0
    if SideData.MASTERING_DISPLAY_METADATA in data:
        # Ten rationals, of which the last is the highest luminance, and two flags.
        *_, numerator, denominator, _, known = np.frombuffer(data[SideData.MASTERING_DISPLAY_METADATA], np.int32, 22)
        found = numerator / denominator if known and denominator else 0.0
    if SideData.CONTENT_LIGHT_LEVEL in data:
        found = float(np.frombuffer(data[SideData.CONTENT_LIGHT_LEVEL], np.uint32, 1)[0]) or found
    return float(np.clip(found, SDR_WHITE, 10000)) if found else _PQ_PEAK


def _rgb_to_xyz(primaries: int) -> NDArray[np.float64]:
    """Map (3, 3) from linear RGB to XYZ under D65, with Bradford adaptation of other whites."""
    *rgb, white = ([x / y, 1, (1 - x - y) / y] for x, y in _PRIMARIES[primaries])
    matrix = np.array(rgb).T
    matrix *= np.linalg.solve(matrix, white)
    x, y = _D65
    ratio = (_BRADFORD @ [x / y, 1, (1 - x - y) / y]) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD @ matrix


def _srgb_encoding() -> NDArray[np.uint8]:
    """SRGB code value of each of 65536 equidistant amounts of light."""
    light = np.linspace(0, 1, 65536)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(code * 255).astype(np.uint8)
