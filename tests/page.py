"""What tests of the page in a browser share: where pixels are, and what the files hold."""

import cv2
import numpy as np

SIZE = (32, 48)
"""(height, width) of the frames in pixels."""


async def fitted(page):
    """A function from pixels of the frame to pixels of the page, while the frame fits into the window."""
    box = await page.locator("#canvas").bounding_box()
    scale = min(box["width"] / SIZE[1], box["height"] / SIZE[0])
    left = box["x"] + (box["width"] - SIZE[1] * scale) / 2
    top = box["y"] + (box["height"] - SIZE[0] * scale) / 2
    return lambda x, y: (left + x * scale, top + y * scale)


async def save(page):
    async with page.expect_response(lambda response: response.request.method == "PUT") as answer:
        await page.keyboard.press("Control+s")
    assert (await answer.value).status == 200


async def set_brush(page, size):
    await page.locator("#size").fill(str(size))


def capsule(a, b, diameter):
    """The pixels (H, W) whose centre is at most half a diameter away from the segment from a to b."""
    centres = np.stack(np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5), axis=-1)
    a, b = np.array(a, float), np.array(b, float)
    length = max(((b - a) ** 2).sum(), 1e-9)
    along = np.clip(((centres - a) @ (b - a)) / length, 0, 1)
    return ((centres - a - along[..., None] * (b - a)) ** 2).sum(axis=-1) <= (diameter / 2) ** 2


def stored(drawing, stem="0001"):
    return cv2.imread(str(drawing.path / f"hand_masks/{stem}.png"), cv2.IMREAD_UNCHANGED)
