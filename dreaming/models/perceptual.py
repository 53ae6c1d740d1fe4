"""VGG's features to measure a style network with, where they cost nothing to have."""

import logging
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import nn

from dreaming.errors import WeightsError
from dreaming.networks.vgg import NotDownloadedError

log = logging.getLogger(__name__)


def features_at_hand(make: Callable[..., nn.Module] | None, trainer: pl.Trainer) -> nn.Module | None:
    """VGG, to measure with alone, if each of a trainer's processes finds its weights on disk; None if one does not.

    Args:
        make: Makes it: ``make(download=False)``; None: there is none.
        trainer: Of the training.
    """
    found = None
    if make is not None:
        try:
            # Layers begin at random: training draws what it would have drawn without them.
            with torch.random.fork_rng(devices=[]):
                found = make(download=False)
        except NotDownloadedError:
            pass
        except WeightsError as error:
            log.warning("val/perceptual is not tracked: %s: found %s", error.where, error.found)
    # A measurement is shared by all processes: those that have the weights would wait for one that has not.
    everywhere = trainer.strategy.reduce_boolean_decision(found is not None)
    if found is None or not everywhere:
        return None
    if trainer.is_global_zero:
        log.info("the weights of VGG-19 lie on disk: val/perceptual is tracked, and nothing is learnt from it")
    return found
