"""Damaged, foreign and hostile JSON and YAML: refused in time, by every reader of a clip folder's records."""

import json
import os

import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.record import read_record, write_record
from dreaming.clip.split import read_split
from dreaming.errors import CheckpointError, VideoError
from dreaming.io.plain_data import MAX_JSON_DEPTH, MAX_YAML_BYTES, parse_plain_yaml, read_plain_json, read_plain_yaml
from dreaming.training.fit_result import FitResult
from dreaming.training.model_selection import CHOICE, ModelSelection
from dreaming.training.run_registry import read_best
from dreaming.video.metadata import VideoMetadata, extracted_numbers, skipped_stems

BYTES = {
    "empty": b"",
    "text": b"hello",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a huge number": b'{"a": ' + b"9" * 5000 + b"}",
    "more than a float": b'{"a": ' + b"9" * 400 + b"}",
    "deep": b'{"a":' * (MAX_JSON_DEPTH + 1) + b"1" + b"}" * (MAX_JSON_DEPTH + 1),
    "too deep to parse": b"[" * 10**5,
    "cut": b'{"schema": 1, "maker": "ma',
}


def put(path, what):
    match what:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(path.name)
        case _:
            path.write_bytes(BYTES[what])
    return path


@pytest.mark.parametrize("what", [*BYTES, "directory", "pipe", "dangling link", "loop"])
def test_no_reader_of_a_record_fails_or_waits(tmp_path, what):
    with pytest.raises(FileNotFoundError if what == "dangling link" else ValueError):
        read_plain_json(put(tmp_path / "a.json", what))
    for read in (read_record, Manifest.read, FitResult.read, read_best):
        assert read(tmp_path / "a.json") is None
    assert read_split(tmp_path / "a.json") == {}
    put(tmp_path / CHOICE, what)
    with pytest.raises(CheckpointError):
        ModelSelection.read(tmp_path)


def test_a_record_within_the_limits_is_read(tmp_path):
    data = {"schema": 1, "a": [1, 2.5, None, float("inf"), "ü"]}
    for _ in range(MAX_JSON_DEPTH - 3):
        data = {"schema": 1, "b": data}
    write_record(tmp_path / "a.json", data)
    assert read_plain_json(tmp_path / "a.json") == data


FIT = {"checkpoint": "a", "score": 0.5, "step": 1, "curve": {"1": 0.5}, "steps": 2, "seconds": 1.0}


@pytest.mark.parametrize("key", FIT)
@pytest.mark.parametrize("value", [None, "x" * 9, [1], {"a": []}])
def test_a_field_of_the_wrong_type_makes_a_record_unused(tmp_path, caplog, key, value):
    write_record(tmp_path / "fit.json", FIT)
    assert FitResult.read(tmp_path / "fit.json") == FitResult(**{**FIT, "curve": {1: 0.5}})
    write_record(tmp_path / "fit.json", {**FIT, key: value})
    if not (key == "checkpoint" and isinstance(value, str)):
        assert FitResult.read(tmp_path / "fit.json") is None
        assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("parts", [[], {"a": 1}, {"a": {"validation": "folds", "nn_train": [[]]}}, {"a": {}}])
def test_a_split_of_wrong_types_is_not_used(tmp_path, parts):
    write_record(tmp_path / "split.json", {"parts": parts})
    assert read_split(tmp_path / "split.json") == {}


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 10**90},
        {"seconds": float("nan")},
        {"frames": -1},
        {"frames": True},
        {"stems": [1]},
        {"version": 1e9},
    ],
)
def test_an_impossible_number_in_a_manifest_makes_it_unread(tmp_path, change):
    Manifest("mask", 1, {}, {}).write(tmp_path / "m.json")
    data = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps({**data, **change}))
    assert list(Manifest.read(tmp_path / "m.json").unread) == list(change)


VIDEO = {"file": "a", "width": 4, "height": 4, "rotation": 0, "frames": 2, "sound": False, "pts": [0, 1]}
VIDEO |= {"rate": "25", "time_base": "1/25"}


@pytest.mark.parametrize(
    "change", [{"rate": "1e999999999"}, {"pts": [0, 10**30]}, {"time_base": "1/1e9"}, {"width": 2**70}]
)
def test_a_video_record_with_a_huge_number_is_refused(change):
    assert VideoMetadata.from_json(VIDEO).count == 2
    with pytest.raises(VideoError):
        VideoMetadata.from_json({**VIDEO, **change})


def test_a_huge_range_of_frames_is_not_listed():
    sane = {**VIDEO, "extracted": {"start": 1, "end": 1, "every": 1}}
    assert (skipped_stems(sane), extracted_numbers(sane)) == ({"0002"}, range(1, 2))
    for damaged in (
        {"frames": 10**12},
        {"extracted": {"start": 1, "end": 10**12, "every": 1}},
        {"extracted": {"start": 1}},
    ):
        assert extracted_numbers({**sane, **damaged}) is None
        assert skipped_stems({**sane, **damaged}) == frozenset()


BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "python": b"!!python/object/apply:os.system ['touch owned']",
    "tag": b"a: !own 1",
    "standard tag": b"a: !!str 1",
    "anchor": b"a: &x 1",
    "merge": b"{a: &x {b: 1}, c: {<<: *x}}",
    "bomb": BOMB.encode(),
    "key twice": b"a: 1\nb: {c: 1, c: 2}",
    "deep": b"[" * 5000,
    "nested": b"[" * 30 + b"]" * 30,
    "many digits": b"a: " + b"9" * 5000,
    "large": b"a" * (MAX_YAML_BYTES + 1),
    "other encoding": b"a: \xff",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_all_but_plain_values_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_bytes(REFUSED[name])
    with pytest.raises(ValueError, match=r"\w"):
        read_plain_yaml(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_plain_values_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: [1.5, null, true]\nc: {d: '!x &y *z'}\n# comment\n")
    assert read_plain_yaml(path) == {"a": 1, "b": [1.5, None, True], "c": {"d": "!x &y *z"}}
    path.write_text("")
    assert read_plain_yaml(path) is None


def test_what_is_no_regular_yaml_file_is_refused(tmp_path):
    for name in ("pipe", "directory", "loop"):
        put(tmp_path / name, name)
        with pytest.raises(ValueError, match=r"\w"):
            read_plain_yaml(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_plain_yaml(tmp_path / "absent")


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("[0046, 0x10, -7, 0.5, 1e-6, -2.E3, 1e]")
    assert read_plain_yaml(path) == [46, 16, -7, 0.5, 1e-6, -2000.0, "1e"]


def test_a_byte_order_mark_is_ignored(tmp_path):
    for name, read in (("a.json", read_plain_json), ("a.yaml", read_plain_yaml)):
        (tmp_path / name).write_text('{"a": 1}', "utf-8-sig")
        assert read(tmp_path / name) == {"a": 1}


def test_numbers_with_colons_are_text_as_in_yaml_1_2():
    assert parse_plain_yaml("[1:30, 1:30.5, -2:00, 0x1F]") == ["1:30", "1:30.5", "-2:00", 31]


@pytest.mark.parametrize("text", ["9" * 400, "0x" + "f" * 4000, "-" + "0" * 101])
def test_numbers_beyond_a_float_are_refused(text):
    with pytest.raises(ValueError, match="digits"):
        parse_plain_yaml(f"a: {text}")
