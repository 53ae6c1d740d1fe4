"""Masks of a pretrained network from an ONNX file, such as a model for salient objects or portraits."""

import functools
import re
import reprlib
import textwrap
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, digest
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.shots import Shots
from dreaming.constraints import ImageSide, NonNegativeInt, PositiveFloat, Range
from dreaming.errors import ParameterError, WeightsError
from dreaming.imaging.resize import resize_image
from dreaming.io.plain_data import read_plain_yaml
from dreaming.io.types import Image, Probability
from dreaming.maskers.base import FrameMasker

Preset: TypeAlias = Literal["u2net", "isnet", "birefnet", "modnet"]

Level: TypeAlias = Annotated[float, Range(ge=-1000, le=1000)]


@dataclass(frozen=True)
class ModelFormat:
    """What a model expects and returns, read from a YAML file beside it with these keys.

    Attributes:
        size: (height, width) in pixels to which a frame is resized.
        mean: Subtracted from red, green and blue in 0..1.
        std: Divisors after that.
        brightest_is_1: Whether a frame's levels are first divided by the greatest of them, so that dark frames are
            brightened, instead of by 255.
        output: Index of the model's output that is the mask, from 0.
        activation: Maps the output to 0..1: ``sigmoid`` of logits, ``min_max`` stretches each frame's range to 0..1.
    """

    kind: ClassVar[str] = "onnx_model_format"
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    size: tuple[ImageSide, ImageSide]
    mean: tuple[Level, Level, Level] = (0.485, 0.456, 0.406)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)
    brightest_is_1: bool = False
    output: NonNegativeInt = 0
    activation: Literal["none", "sigmoid", "min_max"] = "none"

    @classmethod
    def read(cls, path: Path) -> "ModelFormat":
        """Read a YAML file.

        Raises:
            WeightsError: If there is none, or a key or value is invalid.
        """
        from pydantic import TypeAdapter, ValidationError  # here, because --help must not wait for it

        keys = "size: [height, width], mean and std: [red, green, blue], brightest_is_1: true or false, output: index"
        expected = f"{keys}, activation: {ACTIVATIONS}"
        try:
            return TypeAdapter(cls).validate_python(read_plain_yaml(path))
        except FileNotFoundError:
            hint = f"set the masker's preset to {', '.join(PRESETS)}, or write the file"
            raise WeightsError(path, found="no such file", expected=expected, hint=hint) from None
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "content"
            found = f"{key}: {reprlib.repr(problem['input'])}" if problem["type"] != "missing" else f"no {key}"
            raise WeightsError(path, found=found, expected=expected) from None
        except ValueError as error:
            raise WeightsError(path, found=f"no valid YAML ({error})", expected=expected) from None


ACTIVATIONS = "none, sigmoid or min_max"

HALF = (0.5, 0.5, 0.5)

PRESETS: Mapping[Preset, ModelFormat] = {
    "u2net": ModelFormat((320, 320), brightest_is_1=True, activation="min_max"),
    "isnet": ModelFormat((1024, 1024), HALF, (1.0, 1.0, 1.0), activation="min_max"),
    "birefnet": ModelFormat((1024, 1024), activation="sigmoid"),
    "modnet": ModelFormat((512, 512), HALF, HALF),
}
"""Formats of the published models: U2-Net (Qin 2020), IS-Net (Qin 2022), BiRefNet (Zheng 2024), MODNet (Ke 2022)."""


class OnnxNetwork:
    """A network of an ONNX file, computed by OpenCV on the CPU, one picture at a time.

    Args:
        path: The file.

    Raises:
        WeightsError: If the file is no ONNX model, is incomplete, or has an operation that OpenCV lacks.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()  # a cv2.dnn.Net computes one input at a time
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its messages name no file
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
            self._outputs: Sequence[str] = self._net.getUnconnectedOutLayersNames()
            self._inputs = _inputs(self._net.dump())
        except cv2.error as error:
            raise WeightsError(
                path,
                found=f"a file that OpenCV cannot load ({_reason(error)})",
                expected="a complete ONNX model",
                hint="download or export it again",
            ) from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, pictures: NDArray[np.float32], output: int) -> NDArray[np.float32]:
        """Compute one output (h, w) of one picture (1, 3, H, W).

        Raises:
            WeightsError: If the model takes no such input, or the output does not exist or is no map of finite numbers.
        """
        for shape in self._inputs:
            # OpenCV 5 does not compare the shapes, and reads beyond the end of a smaller input.
            fits = len(shape) == 4 and all(a in (str(b), "") for a, b in zip(shape, pictures.shape, strict=True))
            if not fits or len(self._inputs) != 1:
                found = " and ".join("x".join(length or "?" for length in shape) for shape in self._inputs)
                raise self._error(f"inputs of {found}", f"one of {'x'.join(map(str, pictures.shape))}")
        if output >= len(self._outputs):
            raise self._error(f"{len(self._outputs)} outputs", f"an output of index {output}")
        try:
            with self._lock:
                self._net.setInput(pictures)
                result = np.array(self._net.forward(self._outputs[output]))
        except cv2.error as error:
            found = f"a model that fails ({_reason(error)})"
            raise self._error(found, f"one that takes an input of {'x'.join(map(str, pictures.shape))}") from None
        if result.ndim < 2 or result.size != result.shape[-1] * result.shape[-2]:
            raise self._error(f"an output of {'x'.join(map(str, result.shape))}", "a single map")
        if not np.isfinite(result).all():
            raise self._error("an output that is not finite", "finite numbers")
        return result.reshape(result.shape[-2:]).astype(np.float32)

    def _error(self, found: str, expected: str) -> WeightsError:
        hint = "choose another preset, or correct the YAML file beside the model"
        return WeightsError(self._path, found=found, expected=expected, hint=hint)


def _inputs(dump: str) -> list[list[str]]:
    """Shapes of the inputs in the dump of a network, "" for a length that the file does not fix."""
    listed = re.search(r"^ *inputs: \[\n(.*?)^ *\]", dump, re.MULTILINE | re.DOTALL)
    shapes = re.findall(r"<Input>.*\[(.*)\]", listed[1]) if listed else []
    return [[length if length.isdigit() else "" for length in shape.split(" x ")] for shape in shapes]


def _reason(error: cv2.error) -> str:
    return textwrap.shorten(error.err or str(error), 160)


@functools.lru_cache(maxsize=2)
def _load(path: Path, _digest: str) -> OnnxNetwork:
    """Load a file once for all folds of a cross-validation."""
    return OnnxNetwork(path)


@dataclass
class OnnxMasker(FrameMasker):
    """Predict every frame by a pretrained network, whatever the hand masks show.

    Attributes:
        file: The ONNX file.
        preset: The format of a published model; None: read it from the YAML file of the same name beside ``file``.
        digest: Digest of the file's bytes.
        format: The resolved format.

    Raises:
        ParameterError: If there is no such file.
        WeightsError: If the model or its YAML file cannot be used.
    """

    kind: ClassVar[str] = "onnx_masker"

    file: str | None = field(default=None, metadata=NO_EFFECT)
    preset: Preset | None = field(default=None, metadata=NO_EFFECT)
    digest: str = field(init=False, metadata={"effect": True})
    format: ModelFormat = field(init=False, metadata={"effect": True})

    def __post_init__(self) -> None:
        path = Path(self.file or "")
        try:
            self.digest = digest(path)
        except OSError as error:
            found = "none" if self.file is None else f"{self.file} ({error.strerror})"
            raise ParameterError(
                "file", found=found, expected="an ONNX model", hint="name the file, such as u2netp.onnx"
            ) from None
        self.format = ModelFormat.read(path.with_suffix(".yaml")) if self.preset is None else PRESETS[self.preset]
        self._network = _load(path, self.digest)

    def fit(self, clip: Clip, references: References) -> Self:
        """Return the masker, which is not trained on the hand masks."""
        return self

    def unchanged(self, shots: Shots, before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
        """All frames."""
        return frozenset(shots.stems)

    def predict_frame(self, image: Image) -> Probability:
        """Return the probability (H, W) of one frame (H, W, 3)."""
        mean, std = (np.array(channels, np.float32) for channels in (self.format.mean, self.format.std))
        levels = resize_image(image, self.format.size).astype(np.float32)
        scaled = (levels / (max(levels.max(), 1) if self.format.brightest_is_1 else 255) - mean) / std
        found = self._network(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]), self.format.output)
        if self.format.activation == "sigmoid":
            found = np.reciprocal(1 + np.exp(-np.clip(found, -80, 80)))
        elif self.format.activation == "min_max":
            found = cv2.normalize(found, np.empty_like(found), 0, 1, cv2.NORM_MINMAX)
        return np.clip(resize_image(found, image.shape[:2]), 0, 1)
