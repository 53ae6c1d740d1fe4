"""Masks by colour: Gaussian mixtures, looked up rather than scored anew for every pixel."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, logsumexp
from sklearn.mixture import GaussianMixture

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError, MaskError
from dreaming.imaging.colour_lookup import LEVELS, ColourTable
from dreaming.io.atomic import write_atomically
from dreaming.io.types import Image, Probability
from dreaming.maskers.base import FrameMasker, is_whole
from dreaming.maskers.component_count import Colours, Criterion, Trials, draw_trials, try_counts

log = logging.getLogger(__name__)

Odds: TypeAlias = Callable[[Colours], NDArray[np.float64]]
"""Natural log-odds (P,) that colours (P, 3) are the subject's."""


Mode: TypeAlias = Literal["pair", "components"]
"""What is modelled by mixtures."""


@dataclass
class GmmMasker(FrameMasker):
    """The odds that a pixel's colour is the subject's; blind to position.

    Attributes:
        mode: ``pair``: one mixture for the subject, one for the backdrop, learnt from the hand-masked frames;
            ``components``: one mixture over the whole video, of which the components found in the hand masks are the
            subject.
        components: Of each mixture; None to find out by ``criterion``.
        criterion: Tells the best number of components: Bayesian information criterion or mean silhouette.
        counts: Numbers of components that are tried.
        fits: Fits of each number of components.
        samples: Pixels that a mixture is fitted on, drawn evenly from all frames it learns from.
        recall: In mode ``components``, smallest share of the subject's pixels that a chosen component accounts for.
        precision: In mode ``components``, smallest share of a chosen component's pixels that are the subject's.
        prior: In mode ``pair``, how likely a pixel is the subject before its colour is seen; None for the hand masks'
            share of the frame.
        floor: Added to the variances, colours being in 0..1, so that no component shrinks to one colour.
        nodes: Levels of each channel at which the mixtures are asked; in between is interpolated.
        seed: Of samples and fits.

    Raises:
        ConfigError: If no number of components is given to try, or one that leaves nothing to tell apart, or if another
            value is out of its range.
    """

    kind: ClassVar[str] = "gmm_masker"

    mode: Mode = "pair"
    components: int | None = None
    criterion: Criterion = "bic"
    counts: Sequence[int] = tuple(range(2, 10))
    fits: int = 5
    samples: int = 10_000
    recall: float = 0.1
    precision: float = 0.5
    prior: float | None = None
    floor: float = 1e-4
    nodes: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        self.counts = tuple(self.counts)
        # The one component of a whole video would be subject and backdrop in one.
        least = 1 if self.mode == "pair" else 2
        if self.components is None and (not self.counts or min(self.counts) < least):
            raise ConfigError(
                "masker.gmm.counts",
                found=str(list(self.counts)),
                expected=f"numbers of components to try, from {least} in mode {self.mode}",
                hint="name some, or set masker.gmm.components",
            )
        if self.components is not None and self.components < least:
            raise ConfigError(
                "masker.gmm.components",
                found=str(self.components),
                expected=f"at least {least} in mode {self.mode}",
                hint="name more, or null to find out",
            )
        for name, fits, expected in (
            ("fits", self.fits >= 1, "1 or more"),
            ("samples", self.samples >= 1, "1 pixel or more"),
            ("recall", 0 <= self.recall <= 1, "a share from 0 to 1"),
            ("precision", 0 <= self.precision <= 1, "a share from 0 to 1"),
            ("prior", self.prior is None or 0 < self.prior < 1, "above 0 and below 1, or null"),
            ("floor", self.floor > 0, "above 0"),
            ("nodes", 2 <= self.nodes <= LEVELS, f"2 to {LEVELS}"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"masker.gmm.{name}", found=found, expected=expected, hint="correct it")

    def fit(self, clip: Clip, references: References) -> Self:
        """Fit the mixtures, and draw ``runs/gmm/gmm_components.png`` if their size is found out from all references.

        Raises:
            MaskError: If subject or backdrop has fewer pixels than a mixture has components, or than twice as many
                where their number is found out.
        """
        self._trials: dict[str, Trials] = {}
        self._table = ColourTable(
            self._pair(references) if self.mode == "pair" else self._chosen(clip, references), self.nodes
        )
        if self._trials and is_whole(clip, references):
            name = "gmm_components.png" if len(clip.parts) < 2 else f"gmm_components_{references.part}.png"
            write_atomically(clip.runs("gmm") / name, draw_trials(self._trials))
        return self

    def predict_frame(self, image: Image) -> Probability:
        """The subject's probability (H, W) in 0..1 for one frame (H, W, 3)."""
        return self._table(image)

    def _mixture(self, name: str, colours: Colours) -> GaussianMixture:
        count = self.components
        if count is None:
            # Each number is tried on half of them.
            least, why, key = 2 * max(self.counts), "two for each component of the largest mixture tried", "counts"
        else:
            least, why, key = max(2, count), "one for each component of its mixture", "components"
        if len(colours) < least:
            raise MaskError(
                f"the {name}'s pixels",
                found=str(len(colours)),
                expected=f"at least {least}, {why}",
                hint=f"paint larger masks or lower masker.gmm.{key}",
            )
        if count is None:
            tried = try_counts(colours, self.counts, self.fits, self.criterion, self.seed, self.floor)
            self._trials[name], count = tried, tried.best
            log.info("gmm: %d components for the %s, by %s", count, name, self.criterion)
        return GaussianMixture(count, random_state=self.seed, reg_covar=self.floor).fit(colours)

    # -- one mixture for the subject, one for the backdrop

    def _pair(self, references: References) -> Odds:
        subject, backdrop = (
            self._mixture(name, self._drawn(references, inside))
            for name, inside in (("subject", True), ("backdrop", False))
        )
        prior = float(references.masks.mean()) if self.prior is None else self.prior
        return lambda colours: subject.score_samples(colours) - backdrop.score_samples(colours) + logit(prior)

    def _drawn(self, references: References, inside: bool) -> Colours:
        rng = np.random.default_rng(self.seed)
        masks = references.masks == inside
        share = -(-self.samples // max(1, int(masks.any(axis=(1, 2)).sum())))  # of each frame that has any
        pairs = zip(references.images, masks, strict=True)
        return np.concatenate([_draw(image[mask], share, rng) for image, mask in pairs])

    # -- one mixture over all colours of the video

    def _chosen(self, clip: Clip, references: References) -> Odds:
        rng = np.random.default_rng(self.seed)
        share = -(-self.samples // len(clip.stems))
        frames = clip.frames.read_ahead()
        mixture = self._mixture(
            "video", np.concatenate([_draw(image.reshape(-1, 3), share, rng) for _, image in frames])
        )
        subject = self._choose(mixture, references)

        def odds(colours: Colours) -> NDArray[np.float64]:
            joint = np.log(np.maximum(mixture.predict_proba(colours), 1e-12))  # (P, K)
            return logsumexp(joint[:, subject], axis=1) - logsumexp(joint[:, ~subject], axis=1)

        return odds

    def _choose(self, mixture: GaussianMixture, references: References) -> NDArray[np.bool_]:
        """Which components are the subject, (K,): at least one, and never all."""
        inside, outside = (
            mixture.predict_proba(self._drawn(references, side)).mean(axis=0) for side in (True, False)
        )  # (K,) shares of the subject's and of the backdrop's pixels
        share = references.masks.mean()
        precision = inside * share / np.maximum(inside * share + outside * (1 - share), 1e-12)
        chosen = (inside >= self.recall) & (precision >= self.precision)
        if not chosen.any() or chosen.all():
            best = int((inside * share / (share + outside * (1 - share))).argmax())  # Jaccard index of each alone
            log.warning(
                "gmm: %s component has a recall of %g and a precision of %g; the best alone is taken (%.2f, %.2f)",
                *("every" if chosen.any() else "no", self.recall, self.precision, inside[best], precision[best]),
            )
            chosen = np.arange(len(inside)) == best
        return chosen


def _draw(pixels: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Colours:
    """At most ``count`` of the pixels (P, 3), as colours in 0..1."""
    few = pixels if len(pixels) <= count else pixels[rng.choice(len(pixels), count, replace=False)]
    return few / 255.0
