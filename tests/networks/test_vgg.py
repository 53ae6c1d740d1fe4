import hashlib

import pytest
import torch
import torch.nn.functional as F

from dreaming.errors import ParameterError, WeightsError
from dreaming.networks.vgg import Vgg19Features

# torchvision's vgg19().features: channels of the convolutions by index, for a width of 64
LAYOUT = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256}
LAYOUT |= dict.fromkeys((19, 21, 23, 25, 28, 30, 32, 34), 512)
WIDTH = 4


@pytest.fixture
def state():
    torch.manual_seed(0)
    weights, inputs = {}, 3
    for index, channels in LAYOUT.items():
        outputs = channels * WIDTH // 64
        weights[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5)
        weights[f"features.{index}.bias"] = torch.randn(outputs)
        inputs = outputs
    return weights | {"classifier.0.weight": torch.zeros(2, 2)}


@pytest.fixture
def file(state, tmp_path):
    """A weights file named as PyTorch names its own: the checksum's first digits before the suffix."""
    torch.save(state, tmp_path / "vgg.pth")
    digits = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()[:8]
    return (tmp_path / "vgg.pth").rename(tmp_path / f"vgg19-{digits}.pth")


def digits(file):
    return file.stem.split("-")[1]


def test_features_of_the_default_layers(file, state):
    image = torch.rand(2, 3, 8, 8) * 2 - 1
    found = Vgg19Features(weights=file, sha256=digits(file), width=WIDTH)(image)
    first = F.conv2d(image, state["features.0.weight"], state["features.0.bias"], padding=1)
    second = F.relu(F.conv2d(F.relu(first), state["features.2.weight"], state["features.2.bias"], padding=1))
    third = F.conv2d(F.max_pool2d(second, 2), state["features.5.weight"], state["features.5.bias"], padding=1)
    torch.testing.assert_close(found, [first, second, third])


def test_layers_after_the_last_requested_one_are_dropped(file):
    assert len(Vgg19Features(layers=[36], weights=file, sha256=None, width=WIDTH).features) == 37
    cut = Vgg19Features(layers=[3, 0], weights=file, sha256=None, width=WIDTH)
    assert sorted(cut.state_dict()) == [f"features.{i}.{kind}" for i in (0, 2) for kind in ("bias", "weight")]
    assert not any(weight.requires_grad for weight in cut.parameters())


def test_a_download_is_checked_and_cached(file, tmp_path):
    url = file.as_uri()
    first = Vgg19Features(url=url, cache=tmp_path / "cache", width=WIDTH)
    file.unlink()
    second = Vgg19Features(url=url, cache=tmp_path / "cache", width=WIDTH)
    torch.testing.assert_close(first.state_dict(), second.state_dict())


def test_a_failed_download_raises_with_a_hint(tmp_path):
    url = (tmp_path / "vgg19-dcbb9e9d.pth").as_uri()
    with pytest.raises(WeightsError) as error:
        Vgg19Features(url=url, cache=tmp_path / "cache")
    assert error.value.where == url
    assert "model.style.module.vgg.weights" in error.value.hint
    assert "loss_weights.perceptual=0" in error.value.hint


def test_a_download_with_another_checksum_raises(file, tmp_path):
    url = file.rename(tmp_path / "vgg19-00000000.pth").as_uri()
    with pytest.raises(WeightsError) as error:
        Vgg19Features(url=url, cache=tmp_path / "cache", width=WIDTH)
    assert error.value.where == url


def test_a_local_file_with_another_checksum_raises(file):
    with pytest.raises(WeightsError) as error:
        Vgg19Features(weights=file, width=WIDTH)
    assert digits(file) in error.value.found
    assert "dcbb9e9d" in error.value.expected


def test_a_missing_file_raises(tmp_path):
    with pytest.raises(WeightsError) as error:
        Vgg19Features(weights=tmp_path / "missing.pth")
    assert error.value.where == str(tmp_path / "missing.pth")


def test_weights_of_another_network_raise(file):
    with pytest.raises(WeightsError) as error:
        Vgg19Features(weights=file, sha256=None, width=2 * WIDTH)
    assert error.value.where == str(file)


def test_a_file_that_runs_code_raises(tmp_path):
    torch.save({"features.0.weight": print}, tmp_path / "pickle.pth")
    with pytest.raises(WeightsError) as error:
        Vgg19Features(weights=tmp_path / "pickle.pth", sha256=None, width=WIDTH)
    assert error.value.where == str(tmp_path / "pickle.pth")


def test_a_layer_that_does_not_exist_raises():
    with pytest.raises(ParameterError) as error:
        Vgg19Features(layers=[37])
    assert (error.value.name, error.value.found) == ("layers", "[37]")
