"""Run-length codes of masks: those of COCO, and those of Label Studio's brush."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Mask, Size


def decode_coco(counts: str | Sequence[int], size: Size) -> Mask:
    """Decode COCO's code: lengths of runs, background first, down the columns.

    A text holds them in 5 bits per character, least significant first, as differences to the length before the last
    (``rleFrString`` in pycocotools' maskApi.c).

    Raises:
        ValueError: If the lengths do not fill the mask, or the text is damaged.
    """
    lengths = _coco_lengths(counts) if isinstance(counts, str) else list(counts)
    if min(lengths, default=0) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError("runs that do not fill the image")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(size[1], size[0]).T


def _coco_lengths(text: str) -> list[int]:
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("a damaged text of runs")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= 1 << shift if bits & 16 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("a text of runs that is cut off")
    return lengths


def decode_label_studio(data: bytes, size: Size) -> NDArray[np.uint8]:
    """Decode Label Studio's code of an RGBA picture (H, W, 4), whose opacity is the mask.

    A stream of bits: 32 with the number of values, 5 with their bits less 1, four times 4 with the bits of a length
    less 1; then runs: a bit that says whether one value is repeated, 2 bits that choose one of the four, the length
    less 1, and the value or values (``decode_rle`` in label-studio-converter).

    Raises:
        ValueError: If the code is damaged, or of a picture of another size.
    """
    stream = _Bits(data)
    count, bits = stream.read(32), stream.read(5) + 1
    widths = [stream.read(4) + 1 for _ in range(4)]
    if count != size[0] * size[1] * 4:
        raise ValueError(f"{count} values instead of 4 for each of {size[1]}x{size[0]} pixels")
    if bits > 8:
        raise ValueError(f"values of {bits} bits")
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        repeats = stream.read(1)
        length = stream.read(widths[stream.read(2)]) + 1
        if done + length > count:
            raise ValueError("runs that do not fit the image")
        values[done : done + length] = stream.read(bits) if repeats else [stream.read(bits) for _ in range(length)]
        done += length
    return values.reshape(*size, 4)


class _Bits:
    """A stream of bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def read(self, count: int) -> int:
        start, self._position = self._position, self._position + count
        if self._position > len(self._data) * 8:
            raise ValueError("a code that is cut off")
        last = (self._position + 7) // 8
        word = int.from_bytes(self._data[start // 8 : last], "big")
        return word >> (last * 8 - self._position) & ((1 << count) - 1)
