"""A plain stack of convolutions from a picture to logits."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from dreaming.networks.position import Encoding, Position
from dreaming.networks.separable import Norm, Padding, convolution, lost, normalisation


class CNN(nn.Module):
    """Fully convolutional network of one width, at the picture's own resolution.

    Attributes:
        margin: Pixels that the output lacks on each side.
        multiple: What the output's height and width divide by, after ``residue`` is taken off.
        residue: What they leave over.
        least: Pixels that the picture needs of height and width.

    Args:
        in_channels: Channels of the picture, position not counted.
        out_channels: Channels of logits.
        kernel_size: Side of the filters in pixels, odd.
        intermediate_channels: Width between the layers.
        num_layers: Number of convolutions.
        dilation: Layer i's filter taps lie ``dilation ** i`` pixels apart; above 1 the view widens with depth.
        thin: Depthwise separable convolutions instead of full ones.
        positional_encoding: ``none``, ``linear`` or ``sin``.
        octaves: Wavelengths of the ``sin`` encoding.
        padding: What stands beyond the border; with ``none`` every layer makes the map smaller.
        norm: Normalisation between the layers; ``none`` as in 2021.
    """

    kind: ClassVar[str] = "cnn"

    multiple, residue = 1, 0

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 1,
        kernel_size: int = 5,
        intermediate_channels: int = 16,
        num_layers: int = 5,
        dilation: int = 1,
        separable: bool = False,
        positional_encoding: Encoding = "linear",
        octaves: int = 1,
        padding: Padding = "reflection",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.position = Position(positional_encoding, octaves)
        widths = [in_channels + self.position.channels, *[intermediate_channels] * (num_layers - 1), out_channels]
        layers: list[nn.Module] = []
        for layer, (before, after) in enumerate(pairwise(widths)):
            last = layer == num_layers - 1
            # A bias before a normalisation is taken away by it again.
            bias = last or norm == "none"
            layers.append(
                convolution(
                    before, after, kernel_size, padding, dilation=dilation**layer, separable=separable, bias=bias
                )
            )
            if not last:
                layers += [normalisation(norm, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        taken = sum(lost(kernel_size, dilation**layer) for layer in range(num_layers))
        self.margin = taken if padding == "none" else 0
        # A border cannot be reflected by as many pixels as there are.
        reflected = max(lost(kernel_size, dilation**layer) for layer in range(num_layers))
        self.min_size = 1 + (reflected if padding == "reflection" else 2 * self.margin)

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, out_channels, H - 2 margin, W - 2 margin) of a normalised picture (B, in_channels, H, W).

        Args:
            image: The picture or crop.
            places: Its ``coordinates`` (1 or B, 2, H, W); by default it is a whole frame.
        """
        logits: Tensor = self.layers(self.position(image, places))
        return logits
