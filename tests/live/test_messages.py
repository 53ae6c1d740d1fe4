"""Pictures and JSON between the page, the server and the process that paints."""

import json
from io import BytesIO

import numpy as np
import pytest

from dreaming.live.messages import (
    CHANNELS,
    HEADER,
    MAX_PIXELS,
    body_size,
    from_picture,
    is_picture,
    read_message,
    to_json,
    to_picture,
)


def test_pictures_and_json_are_read_back_from_a_stream():
    image = np.random.default_rng(0).integers(0, 256, (20, 33, 3), np.uint8)
    stream = BytesIO(to_picture(image) + to_json({"state": "ready"}) + to_picture(image)[:-1])
    picture, text, cut_off, nothing = (read_message(stream) for _ in range(4))
    assert is_picture(picture)
    assert np.array_equal(from_picture(picture), image)
    assert not is_picture(text)
    assert json.loads(text[HEADER.size :]) == {"state": "ready"}
    assert not is_picture(cut_off)
    assert nothing is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        HEADER.pack(16, 16),
        HEADER.pack(15, 16) + bytes(15 * 16 * CHANNELS),
        HEADER.pack(16, 16) + bytes(16 * 16 * CHANNELS + 1),
        HEADER.pack(MAX_PIXELS // 16, 17) + bytes(17 * MAX_PIXELS // 16 * CHANNELS),
        HEADER.pack(2**31, 2**31),
    ],
)
def test_other_bytes_are_no_picture(message):
    assert not is_picture(message)


def test_the_longest_picture_is_one():
    message = HEADER.pack(MAX_PIXELS // 16, 16) + bytes(MAX_PIXELS * CHANNELS)
    assert is_picture(message)
    assert body_size(message) == MAX_PIXELS * CHANNELS
