"""What the page shows of a clip."""

import json

import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError
from dreaming.ui.clip_state import EmptyMasks, describe_clip, parts_of


def test_a_clip_is_described_by_its_files(disc_clip):
    drawing = disc_clip(count=4, masks=(1, 4), keyframes=(2,))
    drawing.save("masks/flow/0003.png", drawing.truth["0003"])
    ranked = {"subject": [{"frame": "0003", "gain": 1.0}, {"frame": "none"}, 7], "schema": 1}
    (drawing.path / "suggestions.json").write_text(json.dumps(ranked))
    state = describe_clip(drawing.clip)
    assert state["frames"] == ["0001", "0002", "0003", "0004"]
    assert state["size"] == [32, 48]
    assert state["parts"] == [
        {"name": "subject", "masks": ["0001", "0004"], "maskers": ["flow"], "suggestions": ["0003"]}
    ]
    assert state["keyframes"] == {"painted": ["0002"]}


def test_a_clip_without_frames_is_described(tmp_path):
    state = describe_clip(Clip(tmp_path / "none"))
    assert (state["frames"], state["size"]) == ([], None)


def test_parts_without_masks_are_listed(disc_clip):
    drawing = disc_clip(masks=())
    drawing.save("parts/head/hand_masks/0001.png", drawing.truth["0001"])
    (drawing.path / "parts" / "body").mkdir()
    assert parts_of(drawing.clip) == ["body", "head"]


def test_two_layouts_are_an_error(disc_clip):
    drawing = disc_clip()
    drawing.save("parts/head/hand_masks/0001.png", drawing.truth["0001"])
    with pytest.raises(ClipError):
        describe_clip(drawing.clip)


def test_the_frames_are_listed_once_and_none_is_looked_at(disc_clip, file_accesses):
    sums = []
    for count in (4, 24):
        drawing = disc_clip(str(count), count=count, masks=(1, 4))
        for masker, stem in ((masker, stem) for masker in ("flow", "gmm") for stem in drawing.stems):
            drawing.save(f"masks/{masker}/{stem}.png", drawing.truth[stem])
        file_accesses.clear()
        describe_clip(drawing.clip)
        listed = [path for (call, path) in file_accesses.elements() if call != "stat"]
        assert listed.count(str(drawing.path / "frames")) == 1
        assert listed.count(str(drawing.path / "masks/flow")) == 1
        sums.append(file_accesses.total())
    assert sums[0] == sums[1]


def test_an_empty_mask_is_found_until_it_is_painted(disc_clip):
    drawing, empty = disc_clip(masks=(1, 4)), EmptyMasks()
    drawing.save("hand_masks/0002.png", np.zeros((32, 48), bool))
    assert empty.find(drawing.clip, "subject") == ["0002"]
    drawing.save("hand_masks/0002.png", drawing.truth["0002"])
    assert empty.find(drawing.clip, "subject") == []
