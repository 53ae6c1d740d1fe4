"""A trained segmentation network as a masker; serves the CNN and the UNet alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import lightning
import numpy as np
import torch

from dreaming.data.evidence_channels import Stack
from dreaming.data.lessons import stacked
from dreaming.frames.arrays import Probability
from dreaming.frames.clip import Clip
from dreaming.frames.manifest import fingerprint
from dreaming.frames.references import References
from dreaming.frames.shard import Work
from dreaming.frames.split import Split
from dreaming.frames.statistics import NEUTRAL
from dreaming.maskers.base import Masker
from dreaming.maskers.given_maps import MaskerMaps
from dreaming.models import runs
from dreaming.models.base import SegmentationModule
from dreaming.models.checkpoints import load
from dreaming.models.fit import Workbench
from dreaming.models.inference import on_device, share_out
from dreaming.models.segmentation_recipe import SegmentationRecipe


@dataclass
class NetworkMasker(Masker):
    """Masks by a network trained on this clip; an already trained one is used where it fits.

    Attributes:
        recipe: What is trained, and how.
        workbench: What it is trained and run on.
    """

    recipe: SegmentationRecipe
    workbench: Workbench

    @property
    def built_on(self) -> Mapping[str, Masker]:
        """The maskers whose maps the network is given."""
        return self.recipe.given.maskers if isinstance(self.recipe.given, MaskerMaps) else {}

    def learns_from(self, split: Split) -> frozenset[str]:
        """Names of the masks that it or a masker that it is given learns from."""
        return super().learns_from(split).union(*(masker.learns_from(split) for masker in self.built_on.values()))

    def learnt(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights that ``fit`` would load, and of what the maskers that it is given would."""
        identity = self.recipe.identity(clip, references, self.workbench)
        best = runs.find(clip.runs(self.recipe.name), identity)
        own = "untrained" if best is None else best.fingerprint
        given = [masker.learnt(clip, references) for masker in self.built_on.values()]
        return fingerprint(own, given) if given else own

    def fit(self, clip: Clip, references: References) -> Self:
        """Load the best weights of exactly this recipe and these references, training them first if there are none."""
        best = self.recipe.find_or_train(clip, references, self.workbench)
        return self._load(best.weights, references, ())

    def _load(self, weights: Path, references: References, left_out: Sequence[str]) -> Self:
        return self._take(load(self.recipe.build(NEUTRAL), weights), references, left_out)

    def _take(self, module: lightning.LightningModule, references: References, left_out: Sequence[str]) -> Self:
        assert isinstance(module, SegmentationModule)
        self._module, self._references, self._left_out = module, references, left_out
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Load what the fold that left out exactly these, on the way to the fit on all, ended with.

        Not the best ones, for it is the left-out masks that tell which are best.
        """
        learn = references.without(left_out.stems)
        best = self.recipe.find_or_train(clip, references, self.workbench)
        weights = self.recipe.fold_weights(clip, best, learn)
        if weights is None:
            return self.fit(clip, learn)
        return self._load(weights, references, left_out.stems)

    def share_out(self, stems: list[str], work: Work) -> None:
        """Do a work that predicts these frames, a share of it on each of the trainer's devices."""
        share_out(self.workbench, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        with on_device(self._module, self.workbench) as device:
            evidence = self._evidence(clip, stems)
            for stem, image in clip.frames.read_ahead(stems):
                frame = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
                known = [torch.from_numpy(maps).to(device)[None] for maps in islice(evidence, 1)]  # (1, E, h, w)
                yield stem, self._module.predict_probability(frame, *known)[0, 0].float().cpu().numpy()

    def _evidence(self, clip: Clip, stems: Sequence[str]) -> Iterator[Stack]:
        """Evidence (E, h, w) of each frame, and the given maskers' maps behind it, where the network is given any."""
        evidence, given = self.recipe.evidence_input, self.recipe.given
        found: list[Iterator[Stack]] = []
        if evidence is not None:
            seen = evidence.of(clip, self._references.without(self._left_out))
            found.append(known for _, known in evidence.at(seen, stems))
        if given is not None:
            found.append(maps for _, maps in given.at(clip, self._references, self._left_out, stems))
        for parts in zip(*found, strict=True):
            size = (parts[0].shape[1], parts[0].shape[2])
            yield np.concatenate([stacked(part, size) for part in parts])


@dataclass
class UntrainedMasker(NetworkMasker):
    """A network with random weights, whose masks are worth nothing, and take as long as any to make."""

    def fit(self, clip: Clip, references: References) -> Self:
        """Take the network as it is."""
        return self._take(self.recipe.build(NEUTRAL), references, ())
