"""Mixtures of colours: the table against scikit-learn pixel by pixel, the number of components, the plot."""

import cv2
import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.mixture import GaussianMixture

from dreaming.errors import MaskError, ParameterError
from dreaming.maskers import gmm
from dreaming.maskers.gmm import GmmMasker, Trials, try_counts


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch):
    """Evaluate mixtures at fewer colours and fit them less often, to save time."""
    monkeypatch.setattr(gmm, "NODES", 24)
    monkeypatch.setattr(gmm, "FITS", 2)


def test_every_pixel_is_as_scikit_learn_scores_it(disc_clip, monkeypatch):
    monkeypatch.setattr(gmm, "NODES", 64)
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    masker = GmmMasker(components=2, samples=100_000, prior=0.3, reg_covar=1e-3).fit(clip, references)
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
    masker = GmmMasker(mode=mode, counts=[2, 3], samples=1000)
    for stem, probability in masker.fit(clip, clip.references("subject", clip.stems)).predict(clip, clip.stems):
        assert probability.dtype == np.float32
        assert np.mean((probability > 0.5) == drawing.truth[stem]) > 0.99
    path = clip.runs("gmm") / "gmm_components.png"
    assert cv2.imread(str(path)).std() > 5
    path.unlink()
    masker.fit(clip, clip.references("subject", ["0001", "0004"]))
    assert not path.exists(), "a fit that leaves some out drew the plot"


@pytest.mark.parametrize(("changes", "which"), [({"recall": 1}, "no"), ({"recall": 0, "precision": 0}, "every")])
def test_no_component_or_all_good_enough_leaves_the_best_one_and_a_warning(disc_clip, caplog, changes, which):
    drawing = disc_clip()
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    references.masks[:, 0, 0] = True  # of the background, so that no component is all of the subject
    masker = GmmMasker(mode="components", components=2, **changes).fit(clip, references)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.args[:3] == (which, masker.recall, masker.precision)
    predicted = masker.predict_frame(drawing.images["0002"])
    assert np.mean((predicted > 0.5) == drawing.truth["0002"]) > 0.98


@pytest.fixture
def coloured(disc_clip):
    """A disc on a background, each drawn in two flat colours, the left one and the right one, with a little noise."""

    def draw(disc, background):
        drawing = disc_clip(count=3, size=(48, 72), masks=(1, 2, 3), keyframes=())
        for number, stem in enumerate(drawing.stems):
            rows, columns = np.mgrid[:48, :72]
            drawing.truth[stem] = (columns - 30 - 6 * number) ** 2 + (rows - 24) ** 2 <= 18**2
            halves = [np.where((columns < 30 + 6 * number)[..., None], *pair) for pair in (disc, background)]
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


def test_a_component_that_is_also_the_background_s_is_left_out(coloured):
    drawing = coloured((RED, BLUE), (GREY, BLUE))
    right = np.indices((48, 72))[1] >= 36
    np.testing.assert_array_equal(of_three_components(drawing), drawing.truth["0002"] & ~right)
    either = of_three_components(drawing, precision=0.2)
    np.testing.assert_array_equal(either, drawing.truth["0002"] | right)


@pytest.mark.parametrize("criterion", ["bic", "silhouette"])
def test_three_clusters_are_counted(criterion):
    rng = np.random.default_rng(0)
    colours = np.concatenate([rng.normal(centre, 0.02, (300, 3)) for centre in ((0.2, 0.2, 0.2), (0.8, 0.2, 0.5), 0.7)])
    trials = try_counts(colours, [2, 3, 4, 5], criterion, seed=0, reg_covar=1e-5)
    assert trials.best == 3
    assert len(trials.scores) == 4


def test_the_best_is_the_lowest_criterion_but_the_highest_silhouette():
    scores = np.array([[1.0, 3.0], [0.0, 1.0], [5.0, 6.0]])
    assert Trials("bic", np.array([2, 3, 4]), scores).best == 3
    assert Trials("silhouette", np.array([2, 3, 4]), scores).best == 4


@pytest.mark.parametrize(
    ("config", "enough"),
    [({"components": 10}, False), ({"components": 9}, True), ({"counts": [2, 5]}, False), ({"counts": [2, 4]}, True)],
)
def test_a_mixture_needs_a_pixel_per_component_and_two_where_their_number_is_selected(disc_clip, config, enough):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    references.masks[:] = False
    references.masks[:, 0, :3] = True  # 9 pixels of the subject
    if enough:
        GmmMasker(**config).fit(clip, references)
        return
    with pytest.raises(MaskError) as caught:
        GmmMasker(**config).fit(clip, references)
    assert caught.value.found == "9"


def test_one_component_for_the_whole_video_is_refused():
    """It would be the subject everywhere; of two mixtures, one component each is a model like any other."""
    for wrong in ({"components": 1}, {"counts": [1, 2]}):
        GmmMasker(mode="pair", **wrong)
        with pytest.raises(ParameterError) as caught:
            GmmMasker(mode="components", **wrong)
        ((name, value),) = wrong.items()
        assert (caught.value.name, caught.value.found) == (name, str(value))


def test_nothing_to_try_is_refused():
    with pytest.raises(ParameterError) as caught:
        GmmMasker(counts=[])
    assert caught.value.name == "counts"


def test_masks_without_a_subject_take_none_of_its_samples(disc_clip):
    drawing = disc_clip(masks=(1, 4))
    alone = GmmMasker(samples=100)._sample(drawing.clip.training_references("subject"), True)
    for number in (5, 6, 7, 8):
        drawing.save(f"hand_masks/{number:04d}.png", np.zeros((32, 48), bool))
    among = GmmMasker(samples=100)._sample(drawing.clip.training_references("subject"), True)
    np.testing.assert_array_equal(among, alone)
