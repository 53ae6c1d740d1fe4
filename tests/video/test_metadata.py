"""Exact frame times, the sound that belongs to them, and the record of a video."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from dreaming.errors import VideoError
from dreaming.video.metadata import VideoMetadata, frame_stem, skipped_stems

SOURCE = VideoMetadata(
    "dancer.mov", 48, 64, 90, (512, 1024, 2048, 2560, 3584), Fraction(1, 12800), Fraction(30000, 1001), sound=True
)


def test_json_keeps_everything():
    for source in (SOURCE, replace(SOURCE, sound_start=Fraction(1, 3), last_duration=7)):
        assert VideoMetadata.from_json(json.loads(json.dumps(source.to_json()))) == source


def test_a_record_of_an_earlier_version_is_read():
    data = SOURCE.to_json()
    del data["sound_start"], data["last_duration"]
    assert VideoMetadata.from_json(data) == SOURCE


def test_times_are_exact():
    assert SOURCE.times[:2] == (Fraction(1, 25), Fraction(2, 25))
    assert SOURCE.count == 5
    assert SOURCE.size == (64, 48)


@pytest.mark.parametrize(
    ("numbers", "begin", "end"),
    [
        ([1, 2, 3, 4, 5], Fraction(1, 25), None),
        ([2, 3], Fraction(2, 25), Fraction(5, 25)),
        ([1, 3], Fraction(1, 25), Fraction(7, 25)),  # each frame stands for two
        ([2, 4], Fraction(2, 25), None),
        ([3], Fraction(4, 25), Fraction(5, 25)),
    ],
)
def test_the_sound_ends_where_the_next_frame_would_begin(numbers, begin, end):
    timing = SOURCE.timing(numbers)
    assert timing.times == [SOURCE.times[number - 1] for number in numbers]
    assert (timing.begin, timing.end) == (begin, end)
    assert timing.duration == (None if end is None else end - timing.times[-1])


@pytest.mark.parametrize(
    ("sound_start", "begin"),
    [
        (Fraction(-1, 2), Fraction(-1, 2)),  # sound that precedes the first frame is kept
        (Fraction(59, 1000), Fraction(2, 25)),  # an encoder's delay is not
        (Fraction(3), Fraction(2, 25)),
    ],
)
def test_the_clock_begins_with_the_video_or_its_sound(sound_start, begin):
    late = replace(SOURCE, pts=(1024, 2048, 3072), sound_start=sound_start)
    assert late.timing([1, 2, 3]).begin == begin
    assert late.timing([2, 3]).begin == Fraction(4, 25)


@pytest.mark.parametrize(("numbers", "duration"), [([4, 5], 1024), ([1, 2, 3, 4], 1024), ([2, 4], 2048)])
def test_the_last_frame_lasts_until_the_next_or_the_video_s_end(numbers, duration):
    timed = replace(SOURCE, last_duration=1024)
    assert timed.timing(numbers).duration == Fraction(duration, 12800)


@pytest.mark.parametrize(
    "change",
    [
        {"pts": [1, 2, 2, 4, 5]},
        {"pts": [1, 2, 3, 4, 5.5]},
        {"pts": []},
        {"pts": None},
        {"frames": 4},
        {"rotation": 45},
        {"width": "48"},
        {"width": 0},
        {"time_base": "1/0"},
        {"rate": "fast"},
        {"sound": "yes"},
        {"file": None},
        {"sound_start": "soon"},
        {"last_duration": 0},
    ],
)
def test_a_wrong_value_is_refused(change):
    with pytest.raises(VideoError) as refused:
        VideoMetadata.from_json({**SOURCE.to_json(), **change})
    assert refused.value.where == "source.json"


def test_a_missing_value_is_named():
    data = SOURCE.to_json()
    del data["rotation"]
    with pytest.raises(VideoError) as refused:
        VideoMetadata.from_json(data, "clips/dancer/source.json")
    assert refused.value.where == "clips/dancer/source.json"
    assert "rotation" in refused.value.found
    with pytest.raises(VideoError):
        VideoMetadata.from_json([])


def test_frames_outside_the_extracted_range_are_skipped():
    record = {"frames": 7, "pts": [*range(7)], "extracted": {"start": 2, "end": 6, "every": 2}}
    assert skipped_stems(record) == {"0001", "0003", "0005", "0007"}
    for damaged in (None, [], {}, {"frames": 7}, {"frames": 7, "extracted": {"start": 1, "end": 7, "every": 0}}):
        assert skipped_stems(damaged) == frozenset()


def test_names_are_padded_to_equal_length():
    assert (frame_stem(7, 12), frame_stem(7, 12345)) == ("0007", "00007")
