"""Errors of Hydra as one sentence: which key or choice is suggested."""

from types import FunctionType

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming.cli.explain import choices, explain, unknown_key

KNOWN = [
    "clip", "generator.lr", "model.style.module.lr", "model.style.roi",
    "model.unet.limits.max_steps", "stage.extract.end", "stage.preview.end",
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("clpi", ["clip"]),
        ("end", ["stage.extract.end", "stage.preview.end"]),
        ("epochs", ["model.unet.limits.max_steps"]),
        ("+lr", ["generator.lr", "model.style.module.lr"]),
        ("model.style.lr", ["model.style.module.lr"]),
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


def refuse():
    raise ConnectionError("no cluster\nat h:6379.")


def go_on():
    inner()  # noqa: F821 -- a global of the module that it is moved to


def raised_in(*modules):
    """Return an error that passed through functions of these modules, the last of which raised it."""
    call = FunctionType(refuse.__code__, {"__name__": modules[-1]})
    for name in modules[-2::-1]:
        call = FunctionType(go_on.__code__, {"__name__": name, "inner": call})
    with pytest.raises(ConnectionError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("launcher", ["hydra_ray_launcher._core", "hydra_submitit_launcher.submitit_launcher"])
def test_a_launcher_that_starts_no_job_is_named(launcher):
    error = explain(raised_in("dreaming.cli.program", f"hydra_plugins.{launcher}", "ray._private.worker"), "dream")
    assert (error.where, error.found) == ("hydra.launcher", "no cluster at h:6379")


@pytest.mark.parametrize("modules", [["hydra_plugins.hydra_ray_launcher", "dreaming.io"], ["hydra.core", "ray.worker"]])
def test_an_error_of_a_job_is_not_one_of_its_launcher(modules):
    assert explain(raised_in(*modules), "dream") is None
