"""Masks by colour: Gaussian mixtures, evaluated through a lookup table."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import logit, logsumexp
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from dreaming.artifacts.output_file import write_output
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.constraints import PositiveFloat, PositiveInt, Range, Seed, UnitFloat
from dreaming.errors import MaskError, ParameterError
from dreaming.imaging.colour_lookup import ColourTable
from dreaming.io.types import Image, Probability
from dreaming.maskers.base import FrameMasker, is_whole

log = logging.getLogger(__name__)

Colours = NDArray[np.float64]
"""(P, 3) RGB in 0..1."""

Odds: TypeAlias = Callable[[Colours], NDArray[np.float64]]
"""Maps colours (P, 3) to the natural log-odds (P,) that they are the subject's."""

Criterion: TypeAlias = Literal["bic", "silhouette"]
"""Selects the number of components: Bayesian information criterion or mean silhouette."""

SILHOUETTE_COLOURS = 2000
"""Colours that a silhouette is computed on; it takes time and memory proportional to their square."""

FITS = 5
"""Fits of each number of components tried; their mean is compared, because a single fit depends on its start."""


NODES = 64
"""Levels of each channel at which the mixtures are evaluated; the log-odds in between are interpolated linearly."""


@dataclass
class GmmMasker(FrameMasker):
    """Score a pixel's colour; its position has no influence.

    Attributes:
        mode: ``pair``: one mixture of the subject and one of the background, fitted on the hand-masked frames;
            ``components``: one mixture of the whole video, whose components that the hand masks select are the subject.
        components: Number of components of each mixture; None: selected by ``criterion`` among ``counts``.
        samples: Pixels that a mixture is fitted on, drawn evenly from its frames.
        recall: In mode ``components``, smallest share of the subject's pixels that a selected component covers.
        precision: In mode ``components``, smallest share of a selected component's pixels that are the subject's.
        prior: In mode ``pair``, the subject's prior probability; None: its share of the hand masks' area.
        reg_covar: Added to the variances (colours are in 0..1), so that no component collapses to one colour.

    Raises:
        ParameterError: If a number of components is too small, or there is none to try.
    """

    kind: ClassVar[str] = "gmm_masker"

    mode: Literal["pair", "components"] = "pair"
    components: PositiveInt | None = None
    criterion: Criterion = "bic"
    counts: Sequence[PositiveInt] = tuple(range(2, 10))
    samples: PositiveInt = 10_000
    recall: UnitFloat = 0.1
    precision: UnitFloat = 0.5
    prior: Annotated[float, Range(gt=0, lt=1)] | None = None
    reg_covar: PositiveFloat = 1e-4
    seed: Seed = 0

    def __post_init__(self) -> None:
        self.counts = tuple(self.counts)
        # A single component of the whole video would be subject and background in one.
        lowest = 1 if self.mode == "pair" else 2
        if self.components is None and (not self.counts or min(self.counts) < lowest):
            raise ParameterError(
                "counts",
                found=list(self.counts),
                expected=f"at least one number, each {lowest} or more in mode {self.mode}",
            )
        if self.components is not None and self.components < lowest:
            raise ParameterError(
                "components", found=self.components, expected=f"{lowest} or more in mode {self.mode}, or null"
            )

    def fit(self, clip: Clip, references: References) -> Self:
        """Fit the mixtures; draw ``runs/gmm/gmm_components.png`` if all references select the number of components.

        Raises:
            MaskError: If subject or background has fewer pixels than a mixture needs.
        """
        self._trials: dict[str, Trials] = {}
        odds = self._pair(references) if self.mode == "pair" else self._selected(clip, references)
        self._table = ColourTable(odds, NODES)
        if self._trials and is_whole(clip, references):
            selected = ", ".join(f"{trials.best} for the {name}" for name, trials in self._trials.items())
            log.info("gmm: components selected by %s: %s", self.criterion, selected)
            name = "gmm_components.png" if len(clip.parts) < 2 else f"gmm_components_{references.part}.png"
            write_output(clip.runs("gmm") / name, draw_trials(self._trials))
        return self

    def predict_frame(self, image: Image) -> Probability:
        """Return the subject's probability (H, W) in 0..1 for one frame (H, W, 3)."""
        return self._table(image)

    def _mixture(self, name: str, colours: Colours) -> GaussianMixture:
        count = self.components
        if count is None:
            # Each number is tried on half of the pixels.
            needed, reason, key = 2 * max(self.counts), "two per component of the largest mixture tried", "counts"
        else:
            needed, reason, key = max(2, count), "one per component", "components"
        if len(colours) < needed:
            raise MaskError(
                f"the {name}'s pixels",
                found=str(len(colours)),
                expected=f"at least {needed}, {reason}",
                hint=f"paint larger masks or lower masker.gmm.{key}",
            )
        if count is None:
            tried = try_counts(colours, self.counts, self.criterion, self.seed, self.reg_covar)
            self._trials[name], count = tried, tried.best
            log.debug("gmm: %d components for the %s, by %s", count, name, self.criterion)
        return GaussianMixture(count, random_state=self.seed, reg_covar=self.reg_covar).fit(colours)

    def _pair(self, references: References) -> Odds:
        subject, background = (
            self._mixture(name, self._sample(references, inside))
            for name, inside in (("subject", True), ("background", False))
        )
        prior = float(references.masks.mean()) if self.prior is None else self.prior
        return lambda colours: subject.score_samples(colours) - background.score_samples(colours) + logit(prior)

    def _sample(self, references: References, inside: bool) -> Colours:
        rng = np.random.default_rng(self.seed)
        masks = references.masks == inside
        share = -(-self.samples // max(1, int(masks.any(axis=(1, 2)).sum())))  # per frame that has any
        pairs = zip(references.images, masks, strict=True)
        return np.concatenate([_draw(image[mask], share, rng) for image, mask in pairs])

    def _selected(self, clip: Clip, references: References) -> Odds:
        rng = np.random.default_rng(self.seed)
        share = -(-self.samples // len(clip.stems))
        frames = clip.frames.read_ahead()
        mixture = self._mixture(
            "video", np.concatenate([_draw(image.reshape(-1, 3), share, rng) for _, image in frames])
        )
        subject = self._select(mixture, references)

        def odds(colours: Colours) -> NDArray[np.float64]:
            joint = np.log(np.maximum(mixture.predict_proba(colours), 1e-12))  # (P, K)
            return logsumexp(joint[:, subject], axis=1) - logsumexp(joint[:, ~subject], axis=1)

        return odds

    def _select(self, mixture: GaussianMixture, references: References) -> NDArray[np.bool_]:
        """Select the components that are the subject, (K,): at least one and never all."""
        inside, outside = (
            mixture.predict_proba(self._sample(references, side)).mean(axis=0) for side in (True, False)
        )  # (K,) shares of the subject's and of the background's pixels
        share = references.masks.mean()
        precision = inside * share / np.maximum(inside * share + outside * (1 - share), 1e-12)
        selected = (inside >= self.recall) & (precision >= self.precision)
        if not selected.any() or selected.all():
            best = int((inside * share / (share + outside * (1 - share))).argmax())  # Jaccard index of each by itself
            log.warning(
                "gmm: %s component reaches recall %g and precision %g; only the best one is used (%.2f, %.2f)",
                *("every" if selected.any() else "no", self.recall, self.precision, inside[best], precision[best]),
            )
            selected = np.arange(len(inside)) == best
        return selected


def _draw(pixels: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Colours:
    """Draw at most ``count`` of the pixels (P, 3), as colours in 0..1."""
    drawn = pixels if len(pixels) <= count else pixels[rng.choice(len(pixels), count, replace=False)]
    return drawn / 255.0


@dataclass(frozen=True, eq=False)
class Trials:
    """Scores of each number of components.

    Attributes:
        criterion: Kind of the scores.
        counts: (N,) numbers of components.
        scores: (N, F), one per fit: information criterion in nats per pixel (lowest is best) or silhouette in -1..1.
    """

    criterion: Criterion
    counts: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The number of components with the best mean score; of equal ones, the smaller."""
        means = self.scores.mean(axis=1)
        index = means.argmin() if self.criterion == "bic" else means.argmax()
        return int(self.counts[index])


def try_counts(colours: Colours, counts: Sequence[int], criterion: Criterion, seed: int, reg_covar: float) -> Trials:
    """Fit and score mixtures of each number of components ``FITS`` times, each time on another half of the colours."""
    scores = np.zeros((len(counts), FITS))
    for fit in range(FITS):
        rng = np.random.default_rng([seed, fit])
        half = rng.permutation(colours)[: max(2, len(colours) // 2)]
        for index, count in enumerate(counts):
            scores[index, fit] = _score(half, count, criterion, seed + fit, reg_covar)
    return Trials(criterion, np.asarray(counts), scores)


def _score(colours: Colours, count: int, criterion: Criterion, seed: int, reg_covar: float) -> float:
    mixture = GaussianMixture(count, random_state=seed, reg_covar=reg_covar, max_iter=50).fit(colours)
    if criterion == "bic":
        return float(mixture.bic(colours)) / len(colours)
    few = colours[:SILHOUETTE_COLOURS]
    labels = mixture.predict(few)
    # The silhouette is undefined where all colours fall to one component.
    return float(silhouette_score(few, labels)) if 1 < len(set(labels)) < len(few) else -1.0


def draw_trials(trials: dict[str, Trials]) -> bytes:
    """Draw a PNG with a panel per mixture: mean and standard deviation of the scores by number of components."""
    figure = Figure(figsize=(5 * len(trials), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, trial) in zip(figure.subplots(1, len(trials), squeeze=False)[0], trials.items(), strict=True):
        axes.errorbar(trial.counts, trial.scores.mean(axis=1), trial.scores.std(axis=1), capsize=3, marker="o")
        axes.axvline(trial.best, linestyle=":", color="grey")
        axes.set(title=f"{name}: {trial.best} components", xlabel="components", xticks=trial.counts)
        axes.set_ylabel("information criterion, nats per pixel" if trial.criterion == "bic" else "mean silhouette")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
