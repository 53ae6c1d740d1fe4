"""Errors of Hydra as one sentence: which key or choice is suggested."""

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming.cli.explain import choices, explain, unknown_key

KNOWN = ["clip", "generator.lr", "model.unet.limits.max_steps", "stage.extract.end", "stage.preview.end"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("clpi", ["clip"]),
        ("end", ["stage.extract.end", "stage.preview.end"]),
        ("epochs", ["model.unet.limits.max_steps"]),
        ("+lr", ["generator.lr"]),
        ("generator.rl", ["generator.lr"]),
        ("xyz", []),
    ],
)
def test_a_key_is_suggested_by_its_last_part_or_its_spelling(key, expected):
    error = unknown_key(key, KNOWN)
    assert error.where == key
    assert [known for known in KNOWN if known in error.expected] == expected


def test_a_choice_is_suggested_even_if_hydra_lists_none(monkeypatch):
    monkeypatch.setattr("sys.argv", ["dreaming"])
    error = explain(MissingConfigException("no such file", missing_cfg_file="logger/tensorbord"), "dream")
    assert error.where == "logger=tensorbord"
    assert ", ".join(choices("logger")) in error.expected
    assert error.hint == "use logger=tensorboard"
    assert {"csv", "wandb"} <= set(choices("logger"))


def test_a_key_that_hydra_does_not_find_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "model=cnn"])
    found = explain(ConfigCompositionException("Could not override 'epochs'.\nmore"), "train")
    assert found.where == "epochs"
    assert "model.cnn.limits.max_steps" in found.expected


@pytest.mark.parametrize(
    ("program", "key", "other"), [("train", "masker", "dreaming"), ("dream", "ckpt_path", "train.py")]
)
def test_a_key_of_the_other_program_is_recognised(program, key, other, monkeypatch):
    monkeypatch.setattr("sys.argv", ["dreaming"])
    found = explain(ConfigCompositionException(f"Could not override '{key}'."), program)
    assert (found.where, found.found) == (key, f"a key of {other}")


def test_an_empty_choice_that_other_keys_refer_to_is_named():
    with pytest.raises(OmegaConfBaseException) as raised:
        OmegaConf.to_container(OmegaConf.create({"a": "${masker}"}), resolve=True)
    assert explain(raised.value, "dream").where == "masker"


def test_a_value_that_hydra_cannot_merge_is_named():
    found = explain(ConfigCompositionException("Error merging override stages={a:1}"), "dream")
    assert (found.where, found.found) == ("stages", "{a:1}")
