"""A finished clip is drawn as a picture and a looping clip."""

import PIL.Image
from gallery import MILLISECONDS, ROWS, STEP, WIDTH, draw
from pictures import GAP


def test_the_picture_and_the_looping_clip_show_every_layer(disc_clip, tmp_path):
    drawing = disc_clip("dance", count=6)
    for folder, pictures in {
        "masks/flow": drawing.truth,
        "styled/far": drawing.styled,
        "styled/near": drawing.images,
        "composite": drawing.styled,
    }.items():
        for stem, picture in pictures.items():
            drawing.save(f"{folder}/{stem}.png", picture)
    draw(drawing.path, "flow", tmp_path / "out")
    with PIL.Image.open(tmp_path / "out" / "dance.jpg") as picture:
        assert picture.width == 5 * WIDTH + 4 * GAP
        assert picture.height > ROWS * WIDTH * 32 // 48
    with PIL.Image.open(tmp_path / "out" / "dance.webp") as loop:
        assert (loop.n_frames, loop.info["loop"], loop.width) == (6 // STEP, 0, 2 * WIDTH)
        loop.load()
        assert loop.info["duration"] == MILLISECONDS
