"""The page of config keys lists every key of the composed configs, with accepted values and a meaning."""

import pytest
from config_reference import CONF, GROUPS, PAGE, file_keys, program_keys, reference
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dreaming.cli.config import register_resolvers

NODES = ("masker.grabcut.seed.", "model.ensemble.maskers.", "tasks.")
"""Groups that a file takes from another one, which describes them."""


@pytest.fixture(scope="module")
def keys():
    files = [path for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
    files.append(CONF / "sweep" / "base.yaml")
    return [*program_keys(), *(key for path in files for key in file_keys(path))]


def leaves(node, prefix=""):
    for name, value in node.items():
        if str(name).startswith("_"):
            continue
        key = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, dict) and value:
            yield from leaves(value, key)
        else:
            yield key


@pytest.mark.parametrize("program", ["dream", "train"])
def test_every_composed_key_is_listed(keys, program):
    register_resolvers()
    with initialize_config_dir(str(CONF)):
        config = OmegaConf.to_container(compose(program, ["clip=x", "trainer=cpu"]), resolve=False)
    listed = {key.name for key in keys}
    composed = {key for key in leaves(config) if not key.startswith(NODES) and key not in ("experiments", "sweep")}
    assert len(composed) > 100
    whole = {key for key in composed if key.rpartition(".")[0] in listed}  # rows such as {bce: 1.0, dice: 1.0}
    assert composed - listed - whole - {"stage.mask.maskers", "stage.mask.validation"} == set()


def test_every_key_has_accepted_values_and_a_meaning(keys):
    assert len(keys) > 450
    assert [key.name for key in keys if not key.meaning.split(" (only")[0]] == []
    assert [key.name for key in keys if key.kind == "any"] == []
    units = {"pixels", "pixels, odd", "seconds", "null: none", "all"}
    assert [key.name for key in keys if key.meaning in units and not key.name.startswith("stage.draw.scene.")] == []


def test_a_comment_describes_the_key_beside_or_below_it(keys):
    meanings = {key.name: key.meaning for key in keys}
    limits = [
        meanings[f"model.{name}.limits.{limit}"] for name in ("cnn", "unet") for limit in ("max_steps", "max_time")
    ]
    assert [text.split()[0] for text in limits] == ["steps", "seconds"] * 2
    assert "blackswan" in meanings["model.style.roi"], "above the key, not of the file"
    assert meanings["model.ensemble.prior_weight.flow"] == meanings["model.ensemble.prior_weight.gmm"]


def test_ranges_come_from_the_annotations_of_the_classes(keys):
    (share,) = (key for key in keys if key.name == "data.keyframes.edge_share")
    assert (share.kind, share.default) == ("a number, at least 0 and at most 1", "0.0")
    assert {key.kind for key in keys if key.name == "masker.gmm.criterion"} == {"bic or silhouette"}


def test_the_page_is_generated_from_all_groups():
    assert (CONF.parent / "docs" / PAGE).exists()
    headings = [line for line in reference().splitlines() if line.startswith("### ")]
    for group in ("masker", "guide", "stage", "generator", "trainer"):
        for path in (CONF / group).glob("*.yaml"):
            assert f"### {group}={path.stem}" in headings or not file_keys(path)


def test_pages_are_links_and_keys_without_a_default_are_marked():
    page = reference()
    assert "[imports](../imports.md)" in page
    assert "???" not in page
