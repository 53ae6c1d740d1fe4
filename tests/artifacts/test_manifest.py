import enum
import importlib
import json
import pkgutil
import re
import sys
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dreaming
from dreaming.artifacts.manifest import FILES, NO_EFFECT, Manifest, describe, fingerprint, fingerprint_files, kind_of
from dreaming.cli.config import config_root

REMOVED = [
    {name: None} for name in ("version", "config", "inputs", "seconds", "frames", "fit_report", "stems", "schema")
]


class Shape(enum.Enum):
    ROUND = "round"


@dataclass
class Brush:
    radius: int = 3
    threads: int = field(default=2, metadata=NO_EFFECT)
    made: int = field(init=False, default=0)


@dataclass
class Pen(Brush):
    pass


def test_plain_data_is_itself():
    plain = {"a": [1, 2.5, "x", None, True]}
    assert describe(plain) == plain
    assert describe((1, Path("/x/y"), Shape.ROUND, Fraction(1, 24))) == [1, "/x/y", "round", "1/24"]


def test_a_dataclass_is_told_by_class_and_what_has_an_effect():
    assert describe(Brush(4, threads=8)) == describe(Brush(4, threads=1)) != describe(Brush(5))
    assert describe(Brush(4)) != describe(Pen(4))
    assert describe(Brush())["kind"] == "Brush"
    assert set(describe(Brush())) == {"kind", "radius"}


def test_a_partial_is_told_by_function_and_arguments():
    assert describe(partial(Brush, radius=4)) != describe(partial(Brush, radius=5))
    assert describe(partial(Brush, 4)) != describe(partial(Brush, 5)) != describe(partial(Pen, 5))
    assert describe(Brush) != describe(Pen)


def dreaming_class(name, module, kind, base=object):
    """A dataclass as it would stand in a module of this package."""
    body = {"__module__": module, "__annotations__": {"radius": int}, "radius": 3, **({"kind": kind} if kind else {})}
    return dataclass(type(name, (base,), body))


def test_moving_or_renaming_a_class_changes_no_fingerprint():
    before = dreaming_class("Old", "dreaming.old", "brush")
    after = dreaming_class("Renamed", "dreaming.other.place", "brush")
    for wrap in (
        lambda kind: kind(),
        lambda kind: partial(kind, radius=2),
        lambda kind: [kind],
        lambda kind: {"a": kind()},
    ):
        assert fingerprint(wrap(before)) == fingerprint(wrap(after))
    assert "dreaming" not in json.dumps(describe({"a": before(), "b": partial(before)}))


def test_a_class_of_this_package_must_declare_a_kind_of_its_own():
    parent = dreaming_class("Parent", "dreaming.a", "parent")
    for undeclared in (dreaming_class("New", "dreaming.a", None), dreaming_class("Child", "dreaming.a", None, parent)):
        with pytest.raises(TypeError, match="kind"):
            describe(undeclared())
    foreign = dreaming_class("Child", "my.package", None, parent)
    assert describe(foreign())["kind"] == "Child"


def test_what_is_unknown_is_refused():
    with pytest.raises(TypeError, match="cannot describe object"):
        describe({"a": [object()]})


def test_a_fingerprint_tells_arrays_apart_by_value_type_and_shape():
    array = np.arange(12, dtype=np.uint8)
    prints = [
        fingerprint(array),
        fingerprint(array + 1),
        fingerprint(array.reshape(3, 4)),
        fingerprint(array.reshape(4, 3)),
        fingerprint(array.astype(np.int8)),
        fingerprint("ab"),
        fingerprint("a", "b"),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(array.reshape(3, 4)[:, ::-1]) == fingerprint(array.reshape(3, 4)[:, ::-1].copy())


def test_files_are_told_by_name_and_content(tmp_path):
    for name, text in {"a": "1", "b": "1", "c": "2"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (fingerprint_files([tmp_path / name]) for name in "abc")
    assert len({a, b, c}) == 3
    (tmp_path / "a").write_text("longer")
    assert fingerprint_files([tmp_path / "a"]) != a
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b").write_text("1")
    assert fingerprint_files([tmp_path / "other" / "b"]) == b, "the folder does not matter"


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


def declared_kinds():
    """Every class of the package that declares a kind, by its kind."""
    for module in pkgutil.walk_packages(dreaming.__path__, "dreaming."):
        if module.name != "dreaming.__main__":
            importlib.import_module(module.name)
    kinds: dict[str, set[type]] = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "dreaming":
            for thing in vars(module).values():
                if isinstance(thing, type) and thing.__module__ == name and isinstance(vars(thing).get("kind"), str):
                    kinds.setdefault(vars(thing)["kind"], set()).add(thing)
    return kinds


def test_kinds_are_unique_and_readable():
    kinds = declared_kinds()
    assert len(kinds) > 50
    assert {kind: classes for kind, classes in kinds.items() if len(classes) > 1} == {}
    assert [kind for kind in kinds if not re.fullmatch("[a-z][a-z0-9_]*", kind)] == []


def test_every_class_of_the_config_declares_a_kind():
    targets = set()
    root = config_root() / "conf"
    for path in root.rglob("*.yaml"):
        if not {"hydra", "sweep"} & set(path.relative_to(root).parts):
            targets |= set(re.findall(r"_target_: (dreaming[\w.]+)", path.read_text()))
    objects = [getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in targets]
    assert len(objects) > 50
    for target in objects:
        kind_of(target)
