"""A study is resumed only if its trials ran on the same hand masks and with the same overrides."""

import shutil

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from dreaming.errors import ConfigError
from dreaming.sweep.fingerprint import DESCRIPTION, check_description, describe_study

FIXED = ["model=unet", "clip=here", "seed=3", "trainer=cpu", "stages=[evaluate]", "model.unet.limits.max_steps=20"]


@pytest.fixture
def described(study, sweep_config):
    """A study of this description with a finished trial."""

    def make(description):
        sweep = study()
        check_description(sweep, sweep_config(), description)
        sweep.tell(sweep.ask({"lr": FloatDistribution(0.1, 1.0)}), 0.5)
        return sweep

    return make


def test_the_description_depends_neither_on_the_clips_path_nor_on_the_machine(disc_clip, sweep_config, tmp_path):
    clip = disc_clip().path
    shutil.copytree(clip, tmp_path / "elsewhere")
    here = describe_study(sweep_config(), clip, FIXED, "model")
    there = describe_study(
        sweep_config(), tmp_path / "elsewhere", ["threads=1", *FIXED[2:][::-1], "clip=there"], "model"
    )
    assert here == there
    assert here["overrides"] == ["model.unet.limits.max_steps=20", "seed=3"]
    assert "keyframes" not in here, "a segmentation model does not use them"


def test_another_clip_is_refused_in_the_same_study(disc_clip, sweep_config, described):
    sweep = described(describe_study(sweep_config(), disc_clip("a").path, FIXED, "model"))
    check_description(sweep, sweep_config(), describe_study(sweep_config(), disc_clip("same").path, FIXED, "model"))
    other = describe_study(sweep_config(), disc_clip("b", masks=(1, 8)).path, FIXED, "model")
    with pytest.raises(ConfigError) as refused:
        check_description(sweep, sweep_config(), other)
    assert (refused.value.where, refused.value.found) == ("sweep unet", "other hand masks")
    assert str(sweep_config().folder) in refused.value.hint
    with pytest.raises(ConfigError) as refused:
        check_description(sweep, sweep_config(storage="postgresql://host/x"), other)
    assert str(sweep_config().folder) not in refused.value.hint, "the study lies elsewhere"


@pytest.mark.parametrize("path", ["parts/head/hand_masks/0001.png", "nn/train_output/0001.png", "backsub/0001.png"])
def test_masks_of_every_layout_count(disc_clip, sweep_config, path):
    drawing = disc_clip(masks=())
    before = describe_study(sweep_config(), drawing.path, FIXED, "model")
    drawing.save(path, drawing.truth["0001"])
    first = describe_study(sweep_config(), drawing.path, FIXED, "model")
    drawing.save(path, drawing.truth["0002"])
    assert before != first != describe_study(sweep_config(), drawing.path, FIXED, "model")


def test_a_study_of_a_style_depends_on_its_keyframes(disc_clip, sweep_config, described):
    style = sweep_config(component="style")
    sweep = described(describe_study(style, disc_clip("a").path, FIXED, "model"))
    with pytest.raises(ConfigError) as refused:
        check_description(sweep, style, describe_study(style, disc_clip("b", keyframes=(5,)).path, FIXED, "model"))
    assert refused.value.found == "other keyframes"


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("model.unet.limits.max_steps=90", "model.unet.limits.max_steps=90"),
        ("", "no override model.unet.limits.max_steps=20"),
        ("stage.mask.validation=folds", "stage.mask.validation=folds"),
        ("+guide@guide.wide=gauss", "+guide@guide.wide=gauss"),
    ],
)
def test_other_overrides_are_named(disc_clip, sweep_config, described, now, found):
    clip = disc_clip().path
    sweep = described(describe_study(sweep_config(), clip, FIXED, "model"))
    with pytest.raises(ConfigError) as refused:
        check_description(sweep, sweep_config(), describe_study(sweep_config(), clip, [*FIXED[:-1], now], "model"))
    assert refused.value.found == found
    assert "model.unet.limits.max_steps=20" in refused.value.expected


def test_a_study_with_failed_trials_only_is_taken_over(disc_clip, sweep_config, study):
    sweep = study()
    first, second = (describe_study(sweep_config(), disc_clip(name, masks=masks).path, FIXED, "model")
                     for name, masks in (("a", (1, 8)), ("b", (1, 4))))  # fmt: skip
    check_description(sweep, sweep_config(), first)
    sweep.tell(sweep.ask(), state=TrialState.FAIL)
    check_description(sweep, sweep_config(), second)
    assert sweep.user_attrs[DESCRIPTION] == second


def test_a_study_without_a_description_is_resumed_with_a_warning(disc_clip, sweep_config, study, caplog):
    sweep = study()
    sweep.tell(sweep.ask(), 0.5)
    description = describe_study(sweep_config(), disc_clip().path, FIXED, "model")
    check_description(sweep, sweep_config(), description)
    assert [(record.levelname, record.args) for record in caplog.records] == [("WARNING", ("unet",))]
    assert sweep.user_attrs[DESCRIPTION] == description
