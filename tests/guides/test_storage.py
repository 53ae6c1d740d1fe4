"""Guides on disk, with any number of channels in viewable images, and their selection."""

import cv2
import numpy as np
import pytest

from dreaming.errors import ConfigError, FrameError
from dreaming.guides.custom import CustomGuide
from dreaming.guides.position import PositionGuide
from dreaming.guides.storage import GuideFolder, GuideStack, select_guides


def noise(channels, size=(6, 7)):
    return np.random.default_rng(channels).integers(0, 256, (*size, channels)).astype(np.uint8)


@pytest.mark.parametrize(("channels", "pictures"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3)])
def test_any_number_of_channels_round_trips(tmp_path, channels, pictures):
    given = noise(channels)
    GuideFolder(tmp_path, channels).write("0001", given)
    assert np.array_equal(GuideFolder(tmp_path, channels).read("0001"), given)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number + 1) for number in range(pictures)]
    last = cv2.imread(str(tmp_path / str(pictures) / "0001.png"), cv2.IMREAD_UNCHANGED)
    assert last.shape in ((6, 7), (6, 7, 3))


def test_a_frame_is_listed_once_its_last_image_exists(tmp_path):
    folder = GuideFolder(tmp_path, 6)
    folder.write("0001", noise(6))
    folder.write("0002", noise(6))
    folder.refresh()
    assert folder.stems == ["0001", "0002"]
    (tmp_path / "2" / "0001.png").unlink()
    folder.refresh()
    assert folder.stems == ["0002"]
    with pytest.raises(FrameError):
        folder.read("0001")


def test_a_stack_reads_guide_after_guide(disc_clip, tmp_path):
    clip = disc_clip(keyframes=(4,)).clip
    (layer,) = clip.layers
    guides = {"where": PositionGuide(), "mine": CustomGuide(tmp_path)}
    for name, guide in guides.items():
        GuideFolder(clip.guides(layer) / name, guide.channels).write("0002", noise(guide.channels, clip.size))
    stack = GuideStack(clip, layer, guides)
    assert stack.channels == 5
    assert np.array_equal(stack.read("0002"), np.dstack([noise(2, clip.size), noise(3, clip.size)]))
    assert GuideStack(clip, layer, {}).read("0002").shape == (*clip.size, 0)


def test_guides_are_selected_by_name_or_folder(tmp_path):
    available = {"position": PositionGuide(), "edges": None}
    (tmp_path / "depth").mkdir()
    chosen = select_guides(available, [str(tmp_path / "depth"), "position"])
    assert list(chosen.items()) == [("depth", CustomGuide(tmp_path / "depth")), ("position", PositionGuide())]
    for wrong in (["positon"], ["position", "position"]):
        with pytest.raises(ConfigError) as caught:
            select_guides(available, wrong)
        assert caught.value.where == "stage.guide.guides"
        assert wrong[0] in caught.value.found
