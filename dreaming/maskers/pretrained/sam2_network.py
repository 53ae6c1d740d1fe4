"""The video predictor of SAM 2.1, built without the package's own config system."""

import functools
import importlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.errors import DreamingError, WeightsError
from dreaming.io.plain_data import read_plain_yaml
from dreaming.io.types import Image, Mask, Probability
from dreaming.training.devices import has_fast_bfloat16

Sam2Size: TypeAlias = Literal["tiny", "small", "base_plus", "large"]

ARCHITECTURES: Mapping[str, str] = {
    "tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "base_plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
"""File of each size in the package ``sam2``."""

CLASSES = {
    *("backbones.hieradet.Hiera", "backbones.image_encoder.FpnNeck", "backbones.image_encoder.ImageEncoder"),
    *("memory_attention.MemoryAttention", "memory_attention.MemoryAttentionLayer", "sam.transformer.RoPEAttention"),
    *("memory_encoder.CXBlock", "memory_encoder.Fuser", "memory_encoder.MaskDownSampler"),
    *("memory_encoder.MemoryEncoder", "position_encoding.PositionEmbeddingSine"),
}
"""The classes of ``sam2.modeling`` that a file may name."""

POSTPROCESSING = {
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
    "binarize_mask_from_pts_for_mem_enc": True,
}
"""What ``build_sam2_video_predictor`` adds, except filling holes, which needs the package's CUDA extension."""

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

INSTALL = "pip install --no-deps sam2==1.1.0 iopath==0.1.10 portalocker"


def find_sam2() -> ModuleSpec:
    """Find the package ``sam2`` without importing it.

    Raises:
        DreamingError: If it is not installed.
    """
    spec = find_spec("sam2")
    if spec is None or find_spec("iopath") is None:
        raise DreamingError("masker sam2", found="no package sam2", expected="sam2 1.1.0", hint=f"run {INSTALL}")
    return spec


def read_architecture(size: str) -> dict[str, Any]:
    """Read the network's classes and their arguments, for a key of ``ARCHITECTURES``."""
    model: dict[str, Any] = read_plain_yaml(Path(find_sam2().origin or "").parent / ARCHITECTURES[size])["model"]
    return model


def build_predictor(architecture: Mapping[str, Any]) -> Any:
    """Build an untrained ``SAM2VideoPredictor``."""
    # The package's own __init__ initialises Hydra for the whole process, with a version that newer ones refuse.
    sys.modules.setdefault("sam2", module_from_spec(find_sam2()))
    module = importlib.import_module("sam2.sam2_video_predictor")
    module.tqdm = lambda frames, **_: frames  # type: ignore[attr-defined] # a bar per interval
    arguments = {key: _build(value) for key, value in architecture.items() if key != "_target_"}
    return module.SAM2VideoPredictor(**arguments, **POSTPROCESSING).eval()


def _build(value: Any) -> Any:
    if isinstance(value, list):
        return [_build(item) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: _build(item) for key, item in value.items() if key != "_target_"}
    if "_target_" not in value:
        return arguments
    name = str(value["_target_"]).removeprefix("sam2.modeling.")
    assert name in CLASSES, f"the architecture names {value['_target_']}"
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"sam2.modeling.{module}"), attribute)(**arguments)


@functools.lru_cache(maxsize=1)
def load_predictor(path: Path, _digest: str, size: Sam2Size) -> Any:
    """Build a predictor with the weights of a checkpoint, on the GPU if there is one.

    Raises:
        DreamingError: If the package is missing.
        WeightsError: If the file holds no weights of this size.
    """
    predictor = build_predictor(read_architecture(size))
    expected, hint = f"a checkpoint of SAM 2.1, {size}", "choose another size, or download the checkpoint again"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)["model"]
    except Exception as error:  # whatever an unpickler meets in a file of another kind
        found = f"a file without weights ({type(error).__name__})"
        raise WeightsError(path, found=found, expected=expected, hint=hint) from None
    try:
        predictor.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError):
        raise WeightsError(path, found="weights of another network", expected=expected, hint=hint) from None
    return predictor.to("cuda" if torch.cuda.is_available() else "cpu")


class _Frames:
    """Frames as a predictor reads them, (3, S, S) normalised, one at a time."""

    def __init__(self, read: Callable[[int], Image], count: int, side: int) -> None:
        self._read, self._count, self._side = read, count, side

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> torch.Tensor:
        small = cv2.resize(self._read(index), (self._side, self._side), interpolation=cv2.INTER_AREA)
        normalised: NDArray[np.float32] = (small.astype(np.float32) / 255 - MEAN) / STD
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))


def track(
    predictor: Any, read: Callable[[int], Image], count: int, masks: Mapping[int, Mask], *, reverse: bool = False
) -> Iterator[tuple[int, Probability]]:
    """Yield the index and probability (H, W) of each frame, from the first mask on, or backward from the last one.

    Memory does not grow with the number of frames: each is read when it is needed, and what the network remembers of
    it is dropped when no other frame looks it up.

    Args:
        predictor: A ``SAM2VideoPredictor``.
        read: Returns a frame (H, W, 3) by index.
        count: Number of frames.
        masks: Prompts by index of their frame, (H, W).
        reverse: Whether to track backward.
    """
    state = _state(predictor, _Frames(read, count, predictor.image_size), next(iter(masks.values())).shape)
    precision = (
        torch.autocast("cuda", torch.bfloat16)
        if predictor.device.type == "cuda" and has_fast_bfloat16()
        else nullcontext()
    )
    with precision:
        for index, mask in masks.items():
            predictor.add_new_mask(state, index, 1, np.ascontiguousarray(mask))
    start = max(masks) if reverse else min(masks)
    remembered = predictor.num_maskmem + predictor.max_obj_ptrs_in_encoder
    frames = predictor.propagate_in_video(state, start_frame_idx=start, reverse=reverse)
    while True:
        with precision, torch.inference_mode():
            tracked = next(frames, None)
            if tracked is None:
                return
            index, _, logits = tracked
            probability = logits[0, 0].float().sigmoid().cpu().numpy()
        outputs = state["output_dict_per_obj"][0]["non_cond_frame_outputs"]
        outputs.pop(index + remembered if reverse else index - remembered, None)
        yield index, probability


def _state(predictor: Any, frames: _Frames, size: tuple[int, ...]) -> dict[str, Any]:
    """The predictor's ``init_state``, which only reads JPEG folders and videos, and keeps all frames in memory."""
    device = predictor.device
    per_object = ("point_inputs_per_obj", "mask_inputs_per_obj", "output_dict_per_obj", "temp_output_dict_per_obj")
    return {
        "images": frames,
        "num_frames": len(frames),
        "offload_video_to_cpu": True,
        "offload_state_to_cpu": False,
        "video_height": size[0],
        "video_width": size[1],
        "device": device,
        "storage_device": device,
        "cached_features": {},
        "constants": {},
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
        "frames_tracked_per_obj": {},
        **{name: {} for name in per_object},
    }
