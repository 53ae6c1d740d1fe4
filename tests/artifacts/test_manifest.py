"""Manifests: what is compared, read leniently, and named in the log."""

import json
from dataclasses import replace

import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.artifacts.manifest import FILES, Manifest

REMOVED = [
    {name: None} for name in ("version", "config", "inputs", "seconds", "frames", "fit_report", "stems", "schema")
]


def test_a_manifest_comes_back_equal(tmp_path):
    manifest = Manifest(
        "mask", 2, describe({"of": (1, 2), "size": None}), {"frames": "ab"}, seconds=1.5, frames=3, stems=("1", "2")
    )
    manifest.write(tmp_path / "m.json")
    back = Manifest.read(tmp_path / "m.json")
    assert back == manifest
    assert (back.unread, list(back.stems)) == ({}, ["1", "2"])
    assert (back.seconds, back.frames, back.fingerprint) == (1.5, 3, manifest.fingerprint)


def test_time_and_count_are_not_compared_and_all_else_is():
    manifest = Manifest("mask", 1, {"k": 1}, {"frames": "ab"})
    assert replace(manifest, seconds=9.0, frames=7) == manifest
    assert replace(manifest, seconds=9.0, frames=7).fingerprint == manifest.fingerprint
    for change in ({"maker": "x"}, {"version": 2}, {"config": {"k": 2}}, {"inputs": {"frames": "cd"}}):
        other = replace(manifest, **change)
        assert other != manifest
        assert other.fingerprint != manifest.fingerprint


@pytest.mark.parametrize("change", [{"schema": 2}, {"more": 1}, {"seconds": "long"}, *REMOVED])
def test_a_record_of_another_version_is_different_but_not_absent(tmp_path, change):
    manifest = Manifest("mask", 1, {"k": 1}, {"frames": "ab"})
    manifest.write(tmp_path / "m.json")
    data = {**json.loads((tmp_path / "m.json").read_text()), **change}
    (tmp_path / "m.json").write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    found = Manifest.read(tmp_path / "m.json")
    assert found is not None
    assert found != manifest
    assert found.unread
    assert manifest.difference(found)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"maker": 1, "more": 2}', b"\xff\xfe\x00", "[" * 10**5])
def test_what_is_no_manifest_is_none(tmp_path, text):
    (tmp_path / "m.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert Manifest.read(tmp_path / "m.json") is None
    assert Manifest.read(tmp_path / "absent.json") is None


def test_a_difference_names_keys(tmp_path):
    one = Manifest("mask", 1, {"gmm": {"components": 3, "seed": 0}}, {"frames": "ab"})
    two = Manifest("mask", 1, {"gmm": {"components": 5, "seed": 0}}, {"frames": "cd"}, seconds=3, frames=4)
    assert one.difference(two) == "frames, gmm.components"
    told = replace(one, fit_report={"bounds": [1, 2]})
    assert told == one
    assert told.fingerprint == one.fingerprint
    assert one.difference(told) == ""
    told.write(tmp_path / "found.json")
    assert Manifest.read(tmp_path / "found.json").fit_report == {"bounds": [1, 2]}
    many = replace(one, config={str(key): 1 for key in range(6)}, inputs={})
    assert many.difference(replace(many, config={})) == "0, 1, 2, 3 and 2 more"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": {"masker": {"kind": "gmm", "components": 5}, "stage": {"smooth": 1}}}, "masker.m.components"),
        ({"config": {"masker": {"kind": "other", "components": 3}, "stage": {"smooth": 1}}}, "masker.m"),
        ({"config": {"masker": {"kind": "gmm", "components": 3}, "stage": {"smooth": 2}}}, "stage.mask.smooth"),
        ({"inputs": {"mask 0020": "b", "fitted": "d"}}, "mask 0020"),
        ({"inputs": {"mask 0020": "a", "fitted": "d"}}, "what the masker is fitted to"),
        ({"fit_report": {FILES: {"keyframes/a/1.png": "y"}}}, "keyframes/a/1.png"),
        ({"fit_report": {FILES: ["damaged"]}, "version": 2}, "keyframes/a/1.png, the program"),
        ({"version": 2}, "the program"),
    ],
)
def test_a_difference_names_files_and_keys_of_the_config(change, named):
    config = {"masker": {"kind": "gmm", "components": 3}, "stage": {"smooth": 1}}
    before = Manifest(
        "mask", 1, config, {"mask 0020": "a", "fitted": "c"},
        fit_report={FILES: {"keyframes/a/1.png": "x"}}, keys={"masker": "masker.m", "stage": "stage.mask"},
    )  # fmt: skip
    assert replace(before, **change).difference(before) == named


def test_the_file_is_readable_json(tmp_path):
    Manifest("mask", 1, {"b": 1, "a": 2}, {}).write(tmp_path / "m.json")
    assert list(json.loads((tmp_path / "m.json").read_text())["config"]) == ["a", "b"]
