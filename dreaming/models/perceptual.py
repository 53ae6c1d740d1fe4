"""VGG features as a metric, if their weights are available without a download."""

import logging
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import nn

from dreaming.errors import WeightsError
from dreaming.networks.vgg import NotDownloadedError

log = logging.getLogger(__name__)


def load_cached_vgg(make: Callable[..., nn.Module] | None, trainer: pl.Trainer) -> nn.Module | None:
    """Load VGG by ``make(download=False)`` if each process of a trainer finds its weights on disk, else return None."""
    vgg = None
    if make is not None:
        try:
            # Its layers start with random weights, which must not change the random numbers of the training.
            with torch.random.fork_rng(devices=[]):
                vgg = make(download=False)
        except NotDownloadedError:
            pass
        except WeightsError as error:
            log.warning("val/perceptual is not logged: %s: found %s", error.where, error.found)
    # All processes compute the metric together: those with weights would wait for one without.
    everywhere = trainer.strategy.reduce_boolean_decision(vgg is not None)
    if vgg is None or not everywhere:
        return None
    if trainer.is_global_zero:
        log.debug("VGG-19 weights found: val/perceptual is logged, but not trained on")
    return vgg
