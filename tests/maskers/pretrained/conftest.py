"""A small random network of SAM 2.1, in place of the tiny one."""

from importlib.util import find_spec

import pytest
import torch
import yaml

from dreaming.maskers.pretrained.sam2_network import ARCHITECTURES, build_predictor, read_architecture


def small(architecture):
    """An architecture with 7.7 million weights for pictures of 128 pixels."""
    encoder, attention = architecture["image_encoder"], architecture["memory_attention"]
    encoder["trunk"] |= {"embed_dim": 16, "stages": [1, 2, 2, 1], "global_att_blocks": [4]}
    encoder["neck"]["backbone_channel_list"] = [128, 64, 32, 16]
    for part in ("self_attention", "cross_attention"):
        attention["layer"][part]["feat_sizes"] = [8, 8]
    return {**architecture, "memory_attention": {**attention, "num_layers": 1}, "image_size": 128}


@pytest.fixture(scope="session")
def random_sam2(tmp_path_factory):
    """The files of its architecture and of its random weights."""
    if find_spec("sam2") is None:
        pytest.skip("needs the package sam2")
    folder = tmp_path_factory.mktemp("sam2")
    architecture = small(read_architecture("tiny"))
    (folder / "small.yaml").write_text(yaml.safe_dump({"model": architecture}))
    torch.manual_seed(0)
    torch.save({"model": build_predictor(architecture).state_dict()}, folder / "small.pt")
    return folder / "small.yaml", folder / "small.pt"


@pytest.fixture
def checkpoint(random_sam2, monkeypatch):
    """The random weights, for the size ``tiny``."""
    architecture, weights = random_sam2
    monkeypatch.setitem(ARCHITECTURES, "tiny", str(architecture))
    return weights
