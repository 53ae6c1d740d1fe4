"""Descriptions and fingerprints: equal for equal effects, and of kinds that no move or new name changes."""

import enum
import importlib
import json
import pkgutil
import re
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dreaming
from dreaming.artifacts.fingerprint import NO_EFFECT, describe, fingerprint, fingerprint_files, kind_of
from dreaming.cli.config import config_root


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
