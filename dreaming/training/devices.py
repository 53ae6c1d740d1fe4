"""Default Trainer for the machine."""

import logging
from functools import lru_cache
from typing import Any

import pytorch_lightning as pl
import torch

log = logging.getLogger(__name__)


def suited_trainer(**arguments: Any) -> pl.Trainer:
    """Build a Trainer on CUDA or else the CPU, in mixed bfloat16 where the device computes it faster than float32.

    Any argument of a Trainer overrides this.
    """
    chosen = {
        # Lightning's own choice would be MPS on a Mac, which has no float64; metrics and colour maps need it.
        "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
        "devices": 1,
        "precision": "bf16-mixed" if has_fast_bfloat16() else "32-true",
    }
    return pl.Trainer(**{**chosen, **arguments})


suited_trainer.__wrapped__ = pl.Trainer  # type: ignore[attr-defined] # whose signature a config is compared with


@lru_cache
def has_fast_bfloat16() -> bool:
    """Whether bfloat16 runs in hardware: on Ampere cards and later, and CPUs with AVX512-BF16 or AMX."""
    if torch.cuda.is_available():
        fast = torch.cuda.get_device_capability() >= (8, 0)
        name = torch.cuda.get_device_name()
    else:
        fast = torch.cpu._is_avx512_bf16_supported()
        threads = torch.get_num_threads()
        name = f"the CPU, {threads} thread{'s' * (threads > 1)}"
    log.info("networks run on %s, in %s", name, "mixed bfloat16" if fast else "float32")
    return fast
