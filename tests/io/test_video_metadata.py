import json
from dataclasses import replace
from fractions import Fraction

import pytest

from dreaming.errors import VideoError
from dreaming.io.video_metadata import VideoMetadata

SOURCE = VideoMetadata(
    "dancer.mov", 48, 64, 90, (512, 1024, 2048, 2560, 3584), Fraction(1, 12800), Fraction(30000, 1001), sound=True
)


def test_it_survives_json():
    assert VideoMetadata.from_json(json.loads(json.dumps(SOURCE.to_json()))) == SOURCE


def test_times_are_exact():
    assert SOURCE.times[:2] == (Fraction(1, 25), Fraction(2, 25))
    assert SOURCE.count == 5
    assert SOURCE.size == (64, 48)


@pytest.mark.parametrize(
    ("places", "begin", "end"),
    [
        ([1, 2, 3, 4, 5], 0, None),  # all sound, what precedes the first frame too
        ([2, 3], Fraction(2, 25), Fraction(5, 25)),
        ([1, 3], 0, Fraction(7, 25)),  # each stands for two
        ([2, 4], Fraction(2, 25), None),
        ([3], Fraction(4, 25), Fraction(5, 25)),
    ],
)
def test_the_sound_of_a_stretch_ends_where_the_next_frame_would_begin(places, begin, end):
    times, *stretch = SOURCE.timing(places)
    assert times == [SOURCE.times[place - 1] for place in places]
    assert stretch == [begin, end]


def test_sound_begins_with_a_first_frame_before_zero():
    early = replace(SOURCE, pts=(-512, 0, 512))
    assert early.timing([1, 2, 3])[1] == Fraction(-1, 25)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"pts": [1, 2, 2, 4, 5]}, "do not rise"),
        ({"pts": [1, 2, 3, 4, 5.5]}, "no whole number"),
        ({"pts": []}, "do not rise or do not match"),
        ({"frames": 4}, "do not match the number"),
        ({"rotation": 45}, "out of range"),
        ({"width": "48"}, "no whole number"),
        ({"width": 0}, "out of range"),
        ({"time_base": "1/0"}, "Fraction"),
        ({"rate": "fast"}, "fast"),
        ({"sound": "yes"}, "neither true nor false"),
        ({"pts": None}, "None"),
    ],
)
def test_a_wrong_value_is_refused(change, fault):
    with pytest.raises(VideoError, match=f"source.json: found .*{fault}"):
        VideoMetadata.from_json({**SOURCE.to_json(), **change})


def test_a_missing_value_is_named():
    data = SOURCE.to_json()
    del data["rotation"]
    with pytest.raises(VideoError, match="found no 'rotation'"):
        VideoMetadata.from_json(data, "clips/dancer/source.json")
    with pytest.raises(VideoError, match="found a list"):
        VideoMetadata.from_json([])
