"""Mixtures of colours: the table against scikit-learn pixel by pixel, the choice of components, the plot."""

import cv2
import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.mixture import GaussianMixture

from dreaming.errors import ConfigError, MaskError
from dreaming.maskers.component_count import Trials, try_counts
from dreaming.maskers.gmm import GmmMasker


def test_every_pixel_is_as_scikit_learn_scores_it(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    masker = GmmMasker(components=2, samples=100_000, prior=0.3, floor=1e-3).fit(clip, references)
    mixtures = [
        GaussianMixture(2, random_state=0, reg_covar=1e-3).fit(references.images[references.masks == side] / 255.0)
        for side in (True, False)
    ]
    image = clip.frames.read("0003")
    pixels = image.reshape(-1, 3) / 255.0
    odds = mixtures[0].score_samples(pixels) - mixtures[1].score_samples(pixels) + logit(0.3)
    np.testing.assert_allclose(masker.predict_frame(image).ravel(), expit(odds), atol=0.02)


@pytest.mark.parametrize("mode", ["pair", "components"])
def test_the_disc_is_found_by_its_colour_and_the_plot_is_drawn(disc_clip, mode):
    drawing = disc_clip()
    clip = drawing.clip
    masker = GmmMasker(mode=mode, counts=[2, 3], fits=2, samples=1000)
    for stem, probability in masker.fit(clip, clip.references("subject", clip.stems)).predict(clip, clip.stems):
        assert probability.dtype == np.float32
        assert np.mean((probability > 0.5) == drawing.truth[stem]) > 0.99
    path = clip.runs("gmm") / "gmm_components.png"
    assert cv2.imread(str(path)).std() > 5
    path.unlink()
    masker.fit(clip, clip.references("subject", ["0001", "0004"]))
    assert not path.exists(), "a fit that leaves some out drew the plot"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recall": 1}, "no component has a recall of 1 and a precision of 0.5"),
        ({"recall": 0, "precision": 0}, "every component has a recall of 0 and a precision of 0"),
    ],
)
def test_no_component_or_all_good_enough_leaves_the_best_one_and_a_warning(disc_clip, caplog, changes, said):
    drawing = disc_clip()
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    references.masks[:, 0, 0] = True  # of the backdrop, so that no component is all of the subject
    masker = GmmMasker(mode="components", components=2, **changes).fit(clip, references)
    assert f"{said}; the best alone is taken" in caplog.text
    found = masker.predict_frame(drawing.images["0002"])
    assert np.mean((found > 0.5) == drawing.truth["0002"]) > 0.98


@pytest.fixture
def coloured(disc_clip):
    """A disc on a backdrop, each drawn in two flat colours, the left one and the right one, with a little noise."""

    def draw(disc, backdrop):
        drawing = disc_clip(count=3, size=(48, 72), masks=(1, 2, 3), keyframes=())
        for number, stem in enumerate(drawing.stems):
            rows, columns = np.mgrid[:48, :72]
            drawing.truth[stem] = (columns - 30 - 6 * number) ** 2 + (rows - 24) ** 2 <= 18**2
            halves = [np.where((columns < 30 + 6 * number)[..., None], *pair) for pair in (disc, backdrop)]
            image = np.where(drawing.truth[stem][..., None], *halves)
            image = image + np.random.default_rng(number).integers(-6, 7, image.shape)
            drawing.images[stem] = image.astype(np.uint8)
            drawing.save(f"frames/{stem}.png", drawing.images[stem])
            drawing.save(f"hand_masks/{stem}.png", drawing.truth[stem])
        return drawing

    return draw


RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128)


def of_three_components(drawing, **changes):
    clip = drawing.clip
    masker = GmmMasker(mode="components", components=3, **changes).fit(clip, clip.references("subject", clip.stems))
    return masker.predict_frame(drawing.images["0002"]) > 0.5


def test_all_components_that_are_the_subject_are_taken(coloured):
    drawing = coloured((RED, GREEN), (BLUE, BLUE))
    np.testing.assert_array_equal(of_three_components(drawing), drawing.truth["0002"])


def test_a_component_that_is_the_backdrop_s_too_is_left_out(coloured):
    drawing = coloured((RED, BLUE), (GREY, BLUE))
    right = np.indices((48, 72))[1] >= 36
    np.testing.assert_array_equal(of_three_components(drawing), drawing.truth["0002"] & ~right)
    either = of_three_components(drawing, precision=0.2)
    np.testing.assert_array_equal(either, drawing.truth["0002"] | right)


@pytest.mark.parametrize("criterion", ["bic", "silhouette"])
def test_three_clusters_are_counted(criterion):
    rng = np.random.default_rng(0)
    colours = np.concatenate([rng.normal(centre, 0.02, (300, 3)) for centre in ((0.2, 0.2, 0.2), (0.8, 0.2, 0.5), 0.7)])
    trials = try_counts(colours, [2, 3, 4, 5], 3, criterion, seed=0, floor=1e-5)
    assert trials.best == 3
    assert trials.scores.shape == (4, 3)


def test_the_best_is_the_lowest_criterion_but_the_highest_silhouette():
    scores = np.array([[1.0, 3.0], [0.0, 1.0], [5.0, 6.0]])
    assert Trials("bic", np.array([2, 3, 4]), scores).best == 3
    assert Trials("silhouette", np.array([2, 3, 4]), scores).best == 4


def test_too_few_pixels_and_nothing_to_try_are_refused(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    references.masks[:] = False
    references.masks[:, 0, 0] = True
    with pytest.raises(MaskError, match="the subject's pixels: found 3, expected at least 9"):
        GmmMasker(components=9).fit(clip, references)
    with pytest.raises(ConfigError, match="counts"):
        GmmMasker(counts=[])


def test_numbers_of_components_are_tried_on_half_of_the_pixels(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    references.masks[:] = False
    references.masks[:, 0, :3] = True
    with pytest.raises(
        MaskError, match=r"the subject's pixels: found 9, expected at least 10, two .* masker.gmm.counts"
    ):
        GmmMasker(counts=[2, 5], fits=1).fit(clip, references)
    GmmMasker(counts=[2, 4], fits=1, nodes=8).fit(clip, references)
    GmmMasker(components=9, nodes=8).fit(clip, references)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fits": 0},
        {"samples": 0},
        {"recall": -0.1},
        {"precision": 1.1},
        {"prior": 0.0},
        {"prior": 1.0},
        {"floor": 0.0},
        {"nodes": 1},
        {"nodes": 257},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=rf"masker\.gmm\.{next(iter(wrong))}"):
        GmmMasker(**wrong)


def test_one_component_for_the_whole_video_is_refused():
    """It would be the subject everywhere; of two mixtures, one component each is a model like any other."""
    for wrong in ({"components": 1}, {"counts": [1, 2]}):
        GmmMasker(mode="pair", **wrong)
        with pytest.raises(ConfigError, match=rf"{next(iter(wrong))}: .* 2 in mode components"):
            GmmMasker(mode="components", **wrong)


def test_masks_without_a_subject_take_none_of_its_samples(disc_clip):
    drawing = disc_clip(masks=(1, 4))
    alone = GmmMasker(samples=100)._drawn(drawing.clip.training_references("subject"), True)
    for number in (5, 6, 7, 8):
        drawing.save(f"hand_masks/{number:04d}.png", np.zeros((32, 48), bool))
    among = GmmMasker(samples=100)._drawn(drawing.clip.training_references("subject"), True)
    np.testing.assert_array_equal(among, alone)
