"""A plain stack of convolutions from an image to logits."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from dreaming.constraints import Channels, Depth, KernelSize, PositiveInt
from dreaming.networks.position import Encoding, Position
from dreaming.networks.separable import Norm, Padding, convolution, lost, normalisation


class CNN(nn.Module):
    """Fully convolutional network of constant width, at the resolution of the image.

    It has the attributes of ``models.tiling.SizeConstraints``.

    Args:
        in_channels: Channels of the image, without the positional encoding.
        out_channels: Channels of logits.
        kernel_size: Side of the filters in pixels, odd.
        intermediate_channels: Channels between the layers.
        num_layers: Number of convolutions.
        dilation: The taps of layer i are ``dilation ** i`` pixels apart.
        separable: Use depthwise separable convolutions.
        positional_encoding: Encoding of each pixel's coordinates.
        padding: Padding at the border; with ``none`` every layer makes the map smaller.
        norm: Normalisation between the layers.
    """

    kind: ClassVar[str] = "cnn"

    multiple, residue = 1, 0

    def __init__(
        self,
        *,
        in_channels: Channels = 3,
        out_channels: Channels = 1,
        kernel_size: KernelSize = 5,
        intermediate_channels: Channels = 16,
        num_layers: Depth = 5,
        dilation: PositiveInt = 1,
        separable: bool = False,
        positional_encoding: Encoding = "linear",
        padding: Padding = "reflection",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.position = Position(positional_encoding)
        widths = [in_channels + self.position.channels, *[intermediate_channels] * (num_layers - 1), out_channels]
        layers: list[nn.Module] = []
        for layer, (before, after) in enumerate(pairwise(widths)):
            last = layer == num_layers - 1
            # A normalisation removes the bias before it.
            bias = last or norm == "none"
            layers.append(
                convolution(
                    before, after, kernel_size, padding, dilation=dilation**layer, separable=separable, bias=bias
                )
            )
            if not last:
                layers += [normalisation(norm, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        lost_in_all = sum(lost(kernel_size, dilation**layer) for layer in range(num_layers))
        self.margin = lost_in_all if padding == "none" else 0
        # Reflection padding must be narrower than the image.
        reflected = max(lost(kernel_size, dilation**layer) for layer in range(num_layers))
        self.min_size = 1 + (reflected if padding == "reflection" else 2 * self.margin)

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Logits (B, out_channels, H - 2 margin, W - 2 margin) of a normalised image (B, in_channels, H, W).

        ``positions`` are its ``coordinates`` (1 or B, 2, H, W); None: those of a whole frame.
        """
        logits: Tensor = self.layers(self.position(image, positions))
        return logits
