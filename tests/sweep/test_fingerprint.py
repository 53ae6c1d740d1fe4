"""A study is gone on with only where its trials ran on the same hand masks and under the same overrides."""

import shutil

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from dreaming.errors import ConfigError
from dreaming.sweep.fingerprint import DESCRIPTION, check_description, describe_study

FIXED = ["model=unet", "clip=here", "seed=3", "trainer=cpu", "stages=[evaluate]", "model.unet.limits.max_steps=20"]


@pytest.fixture
def begun(study, plan):
    """A study of this identity with a finished trial."""

    def make(identity):
        sweep = study()
        check_description(sweep, plan(), identity)
        sweep.tell(sweep.ask({"lr": FloatDistribution(0.1, 1.0)}), 0.5)
        return sweep

    return make


def test_what_a_clip_is_does_not_depend_on_where_it_lies_or_on_what_it_runs(disc_clip, plan, tmp_path):
    clip = disc_clip().path
    shutil.copytree(clip, tmp_path / "elsewhere")
    here = describe_study(plan(), clip, FIXED, "model")
    there = describe_study(plan(), tmp_path / "elsewhere", ["threads=1", *FIXED[2:][::-1], "clip=there"], "model")
    assert here == there
    assert here["overrides"] == ["model.unet.limits.max_steps=20", "seed=3"]
    assert "keyframes" not in here, "a segmenter does not see them"


def test_another_clip_is_refused_in_the_same_study(disc_clip, plan, begun):
    sweep = begun(describe_study(plan(), disc_clip("a").path, FIXED, "model"))
    check_description(sweep, plan(), describe_study(plan(), disc_clip("same").path, FIXED, "model"))
    other = describe_study(plan(), disc_clip("b", masks=(1, 8)).path, FIXED, "model")
    with pytest.raises(ConfigError, match=r"other hand masks.*sweep\.name=ANOTHER.*remove .*/sweeps/unet"):
        check_description(sweep, plan(), other)
    with pytest.raises(ConfigError, match=r"begin a new one\.$"):  # removing the folder would not do
        check_description(sweep, plan(storage="postgresql://host/x"), other)


@pytest.mark.parametrize("place", ["parts/head/hand_masks/0001.png", "nn/train_output/0001.png", "backsub/0001.png"])
def test_masks_count_wherever_they_lie(disc_clip, plan, place):
    drawing = disc_clip(masks=())
    before = describe_study(plan(), drawing.path, FIXED, "model")
    drawing.save(place, drawing.truth["0001"])
    first = describe_study(plan(), drawing.path, FIXED, "model")
    drawing.save(place, drawing.truth["0002"])
    assert before != first != describe_study(plan(), drawing.path, FIXED, "model")


def test_a_style_is_one_of_its_keyframes(disc_clip, plan, begun):
    style = plan(component="style")
    sweep = begun(describe_study(style, disc_clip("a").path, FIXED, "model"))
    with pytest.raises(ConfigError, match="other keyframes"):
        check_description(sweep, style, describe_study(style, disc_clip("b", keyframes=(5,)).path, FIXED, "model"))


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("model.unet.limits.max_steps=90", "model.unet.limits.max_steps=90"),
        ("", "nothing set of model.unet.limits.max_steps=20"),
        ("stage.mask.validation=folds", "stage.mask.validation=folds"),
        ("+guide@guide.wide=gauss", "+guide@guide.wide=gauss"),
    ],
)
def test_other_overrides_are_named(disc_clip, plan, begun, now, found):
    clip = disc_clip().path
    sweep = begun(describe_study(plan(), clip, FIXED, "model"))
    with pytest.raises(ConfigError) as refused:
        check_description(sweep, plan(), describe_study(plan(), clip, [*FIXED[:-1], now], "model"))
    assert refused.value.found == found
    assert "model.unet.limits.max_steps=20" in refused.value.expected


def test_trials_that_failed_bind_nobody(disc_clip, plan, study):
    sweep = study()
    first, second = (describe_study(plan(), disc_clip(name, masks=masks).path, FIXED, "model")
                     for name, masks in (("a", (1, 8)), ("b", (1, 4))))  # fmt: skip
    check_description(sweep, plan(), first)
    sweep.tell(sweep.ask(), state=TrialState.FAIL)
    check_description(sweep, plan(), second)
    assert sweep.user_attrs[DESCRIPTION] == second


def test_a_study_of_an_earlier_version_goes_on(disc_clip, plan, study, caplog):
    caplog.set_level("INFO")
    sweep = study()
    sweep.tell(sweep.ask(), 0.5)
    identity = describe_study(plan(), disc_clip().path, FIXED, "model")
    check_description(sweep, plan(), identity)
    assert "taken for ones of this clip" in caplog.text
    assert sweep.user_attrs[DESCRIPTION] == identity
