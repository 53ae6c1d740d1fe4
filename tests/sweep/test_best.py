"""``best.yaml``: written, read, refused where it is another file, and compared by the recorded time."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from unprivileged import as_user

from dreaming.errors import ConfigError
from dreaming.sweep.best import BestTrial, best_trials, is_value


def best(**change):
    facts = {
        "sweep": "unet",
        "component": "unet",
        "trial": 3,
        "value": 0.9,
        "overrides": ("model.unet.a=1", "data.c=null", "masker.d.e=[1,[x,2.5]]"),
        "command": "x y",
        "finished_at": "2026-11-28T12:00:00+00:00",
    }
    return BestTrial(**{**facts, **change})


def test_a_record_is_read_as_it_was_written(tmp_path):
    best().write(tmp_path)
    assert BestTrial.read(tmp_path / "best.yaml") == best()


def test_a_folder_of_sweeps_that_may_not_be_listed_is_named(disc_clip):
    clip = disc_clip(masks=(1,)).clip
    best().write(clip.path / "sweeps" / "a")
    for folder in (clip.path / "sweeps", clip.path / "sweeps" / "a"):
        folder.chmod(0o300 if folder.name == "sweeps" else 0o600)
        assert as_user(clip.path, lambda: _denied(clip) == str(folder)) == 0  # noqa: B023 -- called at once
        folder.chmod(0o755)


def _denied(clip):
    try:
        best_trials(clip)
    except PermissionError as error:
        return str(Path(error.filename).parent if error.filename.endswith(".yaml") else error.filename)
    return None


def test_a_record_that_somebody_changed_is_kept(tmp_path):
    (tmp_path / "best.yaml").write_bytes(b"mine")
    best().write(tmp_path)
    assert (tmp_path / "best.yaml.kept-1").read_bytes() == b"mine"
    assert BestTrial.read(tmp_path / "best.yaml") == best()


def test_of_several_sweeps_the_latest_counts_also_in_a_copy_of_the_clip(disc_clip, tmp_path):
    clip = disc_clip(masks=(1,)).clip
    records = [
        best(sweep="a-late", finished_at="2026-11-28T12:00:01+00:00"),
        best(sweep="early"),
        best(sweep="without-a-time", finished_at=""),
        best(sweep="g", component="gmm"),
    ]
    for age, record in enumerate(records):
        folder = clip.path / "sweeps" / record.sweep
        record.write(folder)
        os.utime(folder / "best.yaml", (1000 + age, 1000 + age))  # file times in the opposite order
    copy = shutil.copytree(clip.path, tmp_path / "copy", copy_function=shutil.copyfile)
    for each in (clip, type(clip)(copy)):
        trials = best_trials(each)
        assert {component: trial.sweep for component, trial in trials.items()} == {"unet": "a-late", "gmm": "g"}


def test_unknown_fields_are_ignored(tmp_path):
    best().write(tmp_path)
    path = tmp_path / "best.yaml"
    path.write_text(path.read_text() + "added_later: 1\n")
    assert BestTrial.read(path) == best()


@pytest.mark.parametrize(
    "text", ["", "a: 1", "- 1", "{", "sweep: unet\noverrides: 3", "!!python/object/apply:os.getcwd []"]
)
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "best.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        BestTrial.read(path)
    assert refused.value.where == str(path)
    assert path.read_text() == text


def test_a_newer_schema_is_refused(tmp_path):
    best().write(tmp_path)
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "schema": 99}))
    with pytest.raises(ConfigError):
        BestTrial.read(path)


HOSTILE = (
    "masker.flow.workers={_target_:os.system}",
    "masker.flow.workers=[1,{_target_:os.system}]",
    "masker.flow._target_=os.system",
    "masker.flow.workers=${seed}",
    "masker.flow.workers='${oc.env:HOME}'",
    "masker.flow.workers=[a,'${seed}']",
    "masker.flow.workers=???",
    "masker.flow.workers={}",
    "masker.flow.workers=choice(1,2)",
    "+masker.flow.workers=1",
    "++masker.flow.workers=1",
    "~masker.flow.workers",
    "masker@masker.flow.seed=unet",
    "masker=flow",
    "clip=elsewhere",
    "trusted_packages=[os]",
    "trainer.default_root_dir=/",
    "logger.csv.save_dir=/",
    "callbacks.mine=1",
    "hydra.run.dir=/",
    "hydra/launcher=joblib",
    "no override",
    "",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_record_sets_only_plain_values_of_models_maskers_and_data(tmp_path, text):
    assert not is_value(text)
    best(overrides=("model.unet.a=1", text)).write(tmp_path)
    with pytest.raises(ConfigError) as refused:
        BestTrial.read(tmp_path / "best.yaml")
    assert refused.value.where == str(tmp_path / "best.yaml")
    assert text in refused.value.found


@pytest.mark.parametrize("change", [{"trial": "x"}, {"value": [1]}, {"component": {}}, {"sweep": 3}, {"choices": 3}])
def test_a_field_of_another_type_is_refused(tmp_path, change):
    best().write(tmp_path)
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(ConfigError):
        BestTrial.read(path)
