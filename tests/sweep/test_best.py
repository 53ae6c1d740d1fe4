"""``best.yaml``: written, read again, and refused where it is none."""

import os

import pytest

from dreaming.errors import ConfigError
from dreaming.sweep.best import BestTrial, best_trials


def best(**change):
    facts = {
        "sweep": "unet",
        "component": "unet",
        "trial": 3,
        "value": 0.9,
        "overrides": ("a.b=1", "c=null"),
        "command": "x y",
    }
    return BestTrial(**{**facts, **change})


def test_what_is_written_is_read(tmp_path):
    best().write(tmp_path)
    assert BestTrial.read(tmp_path / "best.yaml") == best()


def test_of_several_sweeps_of_one_model_the_last_counts(disc_clip):
    clip = disc_clip(masks=(1,)).clip
    for age, made in enumerate([best(sweep="late"), best(sweep="early"), best(sweep="g", component="gmm")]):
        made.write(clip.path / "sweeps" / made.sweep)
        os.utime(clip.path / "sweeps" / made.sweep / "best.yaml", (1000 - age, 1000 - age))
    found = best_trials(clip)
    assert {of: trial.sweep for of, trial in found.items()} == {"unet": "late", "gmm": "g"}


@pytest.mark.parametrize("text", ["", "a: 1", "- 1", "{", "sweep: unet\noverrides: 3"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "best.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"best\.yaml"):
        BestTrial.read(tmp_path / "best.yaml")
