from dreaming.guides.position import PositionGuide


def test_x_and_y_rise_across_the_frame(disc_clip):
    clip = disc_clip(size=(18, 52)).clip
    guide = PositionGuide()
    assert guide.channels == 2
    (stem, position), (_, same) = guide.draw(clip, None, ["0002", "0005"])
    assert stem == "0002"
    assert (position == same).all()
    assert position.shape == (18, 52, 2)
    assert position[7, :, 0].tolist() == [5 * x for x in range(52)]
    assert (guide.draw_image(clip.frames.read(stem)) == position).all()
    assert position[:, 9, 1].tolist() == [15 * y for y in range(18)]
