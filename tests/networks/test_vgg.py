import hashlib

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from dreaming.errors import ConfigError, WeightsError
from dreaming.networks.vgg import Vgg19Features

# torchvision's vgg19().features: convolutions by place, and channels for a width of 64
LAYOUT = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256}
LAYOUT |= dict.fromkeys((19, 21, 23, 25, 28, 30, 32, 34), 512)
WIDTH = 4


@pytest.fixture
def state():
    torch.manual_seed(0)
    weights, inputs = {}, 3
    for place, channels in LAYOUT.items():
        outputs = channels * WIDTH // 64
        weights[f"features.{place}.weight"] = torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5)
        weights[f"features.{place}.bias"] = torch.randn(outputs)
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


def test_features_of_the_original_layers(file, state):
    image = torch.rand(2, 3, 8, 8) * 2 - 1
    found = Vgg19Features(weights=file, sha256=digits(file), width=WIDTH)(image)
    first = F.conv2d(image, state["features.0.weight"], state["features.0.bias"], padding=1)
    second = F.relu(F.conv2d(F.relu(first), state["features.2.weight"], state["features.2.bias"], padding=1))
    third = F.conv2d(F.max_pool2d(second, 2), state["features.5.weight"], state["features.5.bias"], padding=1)
    torch.testing.assert_close(found, [first, second, third])


def test_all_layers_are_there_and_nothing_behind_the_last_is_kept(file):
    assert len(Vgg19Features(layers=[36], weights=file, sha256=None, width=WIDTH).features) == 37
    cut = Vgg19Features(layers=[3, 0], weights=file, sha256=None, width=WIDTH)
    assert sorted(cut.state_dict()) == [f"features.{i}.{kind}" for i in (0, 2) for kind in ("bias", "weight")]
    assert not any(weight.requires_grad for weight in cut.parameters())


def test_normalisation_is_that_of_imagenet(file):
    plain, normal = (
        Vgg19Features(layers=[0], weights=file, sha256=None, width=WIDTH, normalise=on) for on in (False, True)
    )
    image = torch.rand(1, 3, 8, 8)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    by_hand = (image - mean[:, None, None]) / deviation[:, None, None]
    torch.testing.assert_close(normal(image * 2 - 1)[0], plain(by_hand)[0])


def test_a_download_is_checked_and_cached(file, tmp_path):
    url = file.as_uri()
    first = Vgg19Features(url=url, cache=tmp_path / "cache", width=WIDTH)
    file.unlink()
    second = Vgg19Features(url=url, cache=tmp_path / "cache", width=WIDTH)
    torch.testing.assert_close(first.state_dict(), second.state_dict())


def test_without_a_way_to_download_it_says_what_to_do(tmp_path):
    hint = r"vgg19-dcbb9e9d\.pth and set model\.style\.module\.vgg\.weights.*perceptual=0"
    with pytest.raises(WeightsError, match=hint):
        Vgg19Features(url=(tmp_path / "vgg19-dcbb9e9d.pth").as_uri(), cache=tmp_path / "cache")


def test_a_download_with_another_checksum_is_refused(file, tmp_path):
    foreign = file.rename(tmp_path / "vgg19-00000000.pth")
    with pytest.raises(WeightsError, match="damaged or foreign"):
        Vgg19Features(url=foreign.as_uri(), cache=tmp_path / "cache", width=WIDTH)


def test_a_given_file_with_another_checksum_is_refused(file):
    with pytest.raises(WeightsError, match=f"SHA-256 {digits(file)}.*dcbb9e9d"):
        Vgg19Features(weights=file, width=WIDTH)


def test_a_given_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        Vgg19Features(weights=tmp_path / "nowhere.pth")


def test_weights_of_another_network_are_refused(file):
    with pytest.raises(WeightsError, match="another network"):
        Vgg19Features(weights=file, sha256=None, width=2 * WIDTH)


def test_a_file_that_runs_code_is_refused(tmp_path):
    torch.save({"features.0.weight": print}, tmp_path / "pickle.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        Vgg19Features(weights=tmp_path / "pickle.pth", sha256=None, width=WIDTH)


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"places in 0\.\.36"):
        Vgg19Features(layers=[37])
