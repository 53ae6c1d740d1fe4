"""Feature maps of VGG-19 trained on ImageNet, with torchvision's layout but without torchvision."""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from dreaming.constraints import Channels, NonNegativeInt
from dreaming.errors import ParameterError, WeightsError

OFFICIAL_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
OFFICIAL_SHA256 = "dcbb9e9d"  # first digits, as in the file's name

# Number of convolutions before each pooling, and their channels as a multiple of the first one's.
_STAGES = ((2, 1), (2, 2), (4, 4), (4, 8), (4, 8))

_HINT = (
    f"download {OFFICIAL_URL} and set model.style.module.vgg.weights to that file, "
    "or set generator.loss_weights.perceptual=0 and model.style.module.quality.perceptual=0, which need no download"
)


class NotDownloadedError(WeightsError):
    """Weights that are not in the cache and must not be downloaded."""


def _features(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for convolutions, multiple in _STAGES:
        for _ in range(convolutions):
            # Not in place: an in-place ReLU would overwrite the convolution's output, which may be requested.
            layers += [nn.Conv2d(inputs, width * multiple, kernel_size=3, padding=1), nn.ReLU()]
            inputs = width * multiple
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class Vgg19Features(nn.Module):
    """Frozen VGG-19 (Simonyan & Zisserman 2015) up to the last requested layer, without ImageNet's normalisation.

    Args:
        layers: Indices in torchvision's ``vgg19().features`` of the layers whose outputs are returned.
        weights: A state dict in torchvision's layout; None downloads the official one into ``cache``.
        sha256: First digits of the checksum of ``weights``; None: not checked.
        url: URL of the official weights; the file's name ends in the first digits of its checksum.
        cache: Folder for the download; None: PyTorch's own.
        width: Channels of the first convolution; 64 in VGG-19.
        download: Whether to download the official weights if ``cache`` does not contain them.

    Raises:
        ParameterError: If a layer does not exist.
        NotDownloadedError: If ``download`` is false and the cache does not contain the weights.
        WeightsError: If the weights cannot be downloaded or read, or belong to another network.
    """

    kind: ClassVar[str] = "vgg19_features"

    def __init__(
        self,
        *,
        layers: Sequence[NonNegativeInt] = (0, 3, 5),
        weights: str | Path | None = None,
        sha256: str | None = OFFICIAL_SHA256,
        url: str = OFFICIAL_URL,
        cache: str | Path | None = None,
        width: Channels = 64,
        download: bool = True,
    ) -> None:
        super().__init__()
        features = _features(width)
        if not layers or min(layers) < 0 or max(layers) >= len(features):
            raise ParameterError("layers", found=list(layers), expected=f"numbers from 0 to {len(features) - 1}")
        self.layers = frozenset(layers)
        self.features = nn.Sequential(*list(features)[: max(layers) + 1])
        if weights is None:
            if not download and not _cached_file(url, cache).exists():
                raise NotDownloadedError(url, found="no file in the cache", expected="a downloaded file", hint=_HINT)
            state = _download(url, cache)
            where = url
        else:
            state = _read(Path(weights), sha256)
            where = str(weights)
        try:
            self.load_state_dict({key: value for key, value in state.items() if key in self.state_dict()})
        except RuntimeError as error:
            raise WeightsError(
                where, found="weights of another network", expected="VGG-19 in torchvision's layout", hint=_HINT
            ) from error
        self.requires_grad_(False)
        self.eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W) in -1..1 to the outputs of the layers, in the network's order."""
        current, outputs = image, list[Tensor]()
        for index, layer in enumerate(self.features):
            current = layer(current)
            if index in self.layers:
                outputs.append(current)
        return outputs


def _cached_file(url: str, cache: str | Path | None) -> Path:
    """Path of the file that PyTorch downloads from a URL."""
    folder = Path(torch.hub.get_dir()) / "checkpoints" if cache is None else Path(cache)
    return folder / Path(urlparse(url).path).name


def _download(url: str, cache: str | Path | None) -> Mapping[str, Tensor]:
    folder = None if cache is None else str(cache)
    try:
        return torch.hub.load_state_dict_from_url(
            url, model_dir=folder, map_location="cpu", check_hash=True, weights_only=True
        )
    except OSError as error:
        raise WeightsError(
            url, found=f"a failed download ({error})", expected="the weights of VGG-19", hint=_HINT
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            url,
            found="a damaged or wrong file, downloaded or in the cache",
            expected="the weights of VGG-19",
            hint=_HINT,
        ) from error


def _read(path: Path, sha256: str | None) -> Mapping[str, Tensor]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(path, found="no readable file", expected="the weights of VGG-19", hint=_HINT) from error
    if sha256 is not None and not digest.startswith(sha256):
        raise WeightsError(
            path,
            found=f"a file with SHA-256 {digest[:8]}...",
            expected=f"a checksum that starts with {sha256}",
            hint=f"{_HINT}; for other weights set model.style.module.vgg.sha256=null",
        )
    try:
        state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            path, found="a file without a state dict", expected="the weights of VGG-19", hint=_HINT
        ) from error
    return state
