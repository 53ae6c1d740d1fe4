from dataclasses import asdict

import pytest

from dreaming.clip.config import ClipSettings, Layer
from dreaming.errors import ClipError


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "clip.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ClipSettings.read(path)

    return write_and_read


def test_an_absent_or_empty_file_says_nothing(tmp_path, read):
    assert ClipSettings.read(tmp_path / "clip.yaml") == read("") == read("# only a comment\n") == ClipSettings()
    assert ClipSettings().extract == {}


def test_all_keys_are_read(read):
    settings = read(
        "layers:\n"
        "- {name: ground, part: dancer, invert: true, keyframes: meadow}\n"
        "- {name: tänzer, part: dancer}\n"
        "- name: all\n"
        "gamma: 1.8\nstart: 3\nend: 90\nevery: 2\nsize: [120, 160]\n"
        "shots: [1, 0046, b]\n"
        "cleanup:\n  dancer:\n  - grow: 1.5\n  - clamp: [0.1, 0.9]\n"
    )
    assert settings.shots == [1, 46, "b"]
    assert settings.cleanup == {"dancer": [{"grow": 1.5}, {"clamp": [0.1, 0.9]}]}
    assert settings.layers == (Layer("ground", "dancer", True, "meadow"), Layer("tänzer", "dancer"), Layer("all"))
    assert [layer.folder for layer in settings.layers] == ["meadow", "tänzer", "all"]
    assert settings.extract == {"gamma": 1.8, "start": 3, "end": 90, "every": 2, "size": [120, 160]}


def test_null_says_nothing(read):
    assert read("gamma: null\nlayers:\nend: ~\n") == ClipSettings()
    assert asdict(read("layers: [{name: a, part: null}]").layers[0]) == asdict(Layer("a"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "gama: 2",
            "found key 'gama', expected keys among cleanup, end, every, gamma, layers, settings, shots, size, start",
        ),
        ("- gamma", r"found \['gamma'\], expected keys among"),
        ("7", "found 7, expected keys among"),
        ("gamma: 0", "gamma: 0, expected a number above 0"),
        ("gamma: .inf", "gamma: inf"),
        ("gamma: .nan", "gamma: nan"),
        ("gamma: yes", "gamma: True"),
        ("cleanup: [{grow: 1}]", "cleanup: "),
        ("cleanup: {dancer: {grow: 1}}", "cleanup: "),
        ("cleanup: {dancer: [grow]}", "cleanup: "),
        ("shots: 7", "shots: 7"),
        ("shots: [true]", "shots: "),
        ("start: 1:30", "start: '1:30'"),
        ("start: 0", "start: 0, expected a whole number from 1"),
        ("end: 1.5", "end: 1.5"),
        ("every: two", "every: 'two'"),
        ("size: 100", r"size: 100, expected \[height, width\] in pixels"),
        ("size: [100, 0]", "size: "),
        ("layers: []", r"layers: \[\], expected a list of layers"),
        ("layers: {name: a}", "a list of layers"),
        ("layers: [a]", "found 'a', expected keys among invert, keyframes, name, part"),
        ("layers: [{part: a}]", "layer with name: None"),
        ("layers: [{name: 3}]", "layer with name: 3"),
        ("layers: [{name: a, invert: 1}]", "layer with invert: 1"),
        ("layers: [{name: a, mask: b}]", "key 'mask'"),
        ("layers: [{name: a/b}]", "layer with name: 'a/b'"),
        ("layers: [{name: ' '}]", "layer with name: ' '"),
        ("layers: [{name: 'a.'}]", "layer with name"),
        ("layers: [{name: NUL}]", "layer with name"),
        ("layers: [{name: a}, {name: A}]", "layers a, A, expected different names"),
        ("layers: [{name: ..}]", r"layer with name: '\.\.'"),
        ("layers: [{name: 'a\\b'}]", "layer with name"),
        ('layers: [{name: "a\\e[2J"}]', "layer with name"),
        ("gamma: \0", "no valid YAML"),
        ("layers: [{name: a}, {name: a}]", "layers a, a, expected different names"),
        ("layers: [{name: a, invert: true}]", "layer a with invert: true and no part"),
        ("gamma: [1", "no valid YAML"),
        ("a: &a [*b]", "no valid YAML"),
        ("!!python/object/apply:os.system ['false']", "no valid YAML"),
        (b"gamma: \xff", "no valid YAML"),
    ],
)
def test_mistakes_are_told_with_the_file(read, text, found):
    with pytest.raises(ClipError, match=rf"clip\.yaml: .*{found}") as told:
        read(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("target", ["clip.yaml", "nowhere"])
def test_a_link_to_nothing_is_no_absent_file(tmp_path, target):
    (tmp_path / "clip.yaml").symlink_to(target)
    with pytest.raises(ClipError):
        ClipSettings.read(tmp_path / "clip.yaml")


def test_names_are_those_of_folders_that_encode_accents_in_another_way(read):
    settings = read(
        "layers: [{name: T\u00e4nzer, part: T\u00e4nzer}, {name: a}]\ncleanup: {T\u00e4nzer: [{grow: 1}]}\n"
    )
    found = settings.with_names(["Ta\u0308nzer", "b"], ["Ta\u0308nzer", "a"])
    assert [(layer.name, layer.part, layer.folder) for layer in found.layers] == [
        ("T\u00e4nzer", "Ta\u0308nzer", "Ta\u0308nzer"),
        ("a", None, "a"),
    ]
    assert list(found.cleanup) == ["Ta\u0308nzer"]
    assert read("").with_names(["a"], ["a"]) == ClipSettings()
