"""A ball of any size and speed before a backdrop, for tests of what maskers lose."""

import cv2
import numpy as np
import pytest

from dreaming.clip.clip import Clip

COLOUR = np.array([200, 40, 30], np.float32)


def backdrop(size):
    """A blue and grey landscape (H, W, 3), as bright as the ball in places."""
    rough = np.random.default_rng(3).integers(40, 200, (size[0] // 8, size[1] // 8, 3)) // np.array([2, 1, 1])
    smooth = cv2.resize(rough.astype(np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(smooth, (0, 0), 1).astype(np.float32)


@pytest.fixture
def ball(tmp_path):
    """Draw a noisy clip of a ball that moves to and fro by some pixels a frame; return the clip and the true masks.

    ``masks`` hand masks are evenly spread; the ball does not move in the frames ``rest``. The frames' brightness is
    multiplied by ``gain`` from the frame ``jump`` on.
    """

    def draw(radius, step, *, count=20, size=(180, 320), masks=5, rest=(), gain=1.0, jump=0):
        rng, landscape, truth, travelled = np.random.default_rng(5), backdrop(size), {}, 0.0
        marked = {round(index) for index in np.linspace(0, count - 1, masks)}
        rows, columns = np.mgrid[: size[0], : size[1]]
        span = size[1] - 2 * radius - 5
        for folder in ("frames", "hand_masks"):
            (tmp_path / folder).mkdir()
        for number in range(count):
            travelled += step if number and number not in rest else 0
            x = radius + 2 + span - abs((20 + travelled) % (2 * span) - span)
            y = size[0] / 2 + (size[0] / 4 - radius / 2) * np.sin(travelled / 97)
            cover = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)[..., None]
            image = (landscape * (1 - cover) + COLOUR * cover) * (gain if number >= jump else 1)
            image = np.clip(image + rng.integers(-6, 7, image.shape), 0, 255).astype(np.uint8)
            name = f"{number:04d}"
            truth[name] = cover[..., 0] > 0.5
            cv2.imwrite(str(tmp_path / f"frames/{name}.png"), image[..., ::-1])
            if number in marked:
                cv2.imwrite(str(tmp_path / f"hand_masks/{name}.png"), truth[name].astype(np.uint8) * 255)
        return Clip(tmp_path), truth

    return draw
