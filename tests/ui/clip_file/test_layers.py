"""Layers are written into clip.yaml, and everything else in the file stays."""

import pytest
import yaml

from dreaming.clip.config import ClipSettings, Layer
from dreaming.errors import ClipError
from dreaming.ui.clip_file.layers import LayerFile, set_layers
from dreaming.ui.user_files import ABSENT, FileChangedError, version_of

TEXT = """\
# my clip
gamma:   1.0
layers:   # bottom to top
  # the backdrop
  - name: back   # far
    invert: true   # not the body
    part: body
  # the dancer

  - {name: dancer, part: body}   # flow
  -
    name: third
# after
every:    2
"""


def test_comments_move_with_their_layers():
    back, dancer, third = ClipSettings.parse("clip.yaml", TEXT).layers
    assert set_layers(TEXT, [back, dancer, third]) == TEXT
    edited = set_layers(TEXT, [third, Layer("dancer", "head"), Layer("no", keyframes="x"), Layer("back", "body")])
    assert edited == (
        "# my clip\ngamma:   1.0\nlayers:   # bottom to top\n"
        "  -\n    name: third\n"
        "  # the dancer\n\n  - {name: dancer, part: head}   # flow\n"
        '  - name: "no"\n    keyframes: x\n'
        "  # the backdrop\n  - name: back   # far\n    invert: false  # not the body\n    part: body\n"
        "# after\nevery:    2\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "gamma: 2  # a\nevery: 3 # b\n",
        "gamma: 2\nlayers: # none\nevery: 3 # b\n",
        "gamma: 2\nlayers: [{name: x, part: body}, {name: y}] # flow\nevery: 3\n",
        "layers:\n- name: x\n  # inside\n  part: body # p\n- name: y",
        "layers:\r\n  - name: x\r\n    part: body # p\r\n# end\r\n",
        'settings:\n  generator.lr: 1.0e-3 # s\n  "a.b": [yes, 0o7, 1_000]\nlayers:\n\n    - name: y\n\n\n',
    ],
)
def test_every_form_is_edited(text):
    layers = (Layer("new #1"), Layer("x", "body", invert=True), Layer("yes", "1e3", keyframes="12:30"))
    edited = set_layers(text, layers)
    before = ClipSettings.parse("clip.yaml", text)
    after = ClipSettings.parse("clip.yaml", edited)
    assert after.layers == layers
    assert (after.extract, after.settings) == (before.extract, before.settings)
    assert [line.split("#")[1] for line in text.splitlines() if "#" in line and "name: y" not in line] == [
        line.split("#")[1] for line in edited.splitlines() if "#" in line and "#1" not in line
    ]
    assert yaml.safe_load(edited)


def test_layers_are_read_and_written(disc_clip):
    drawing, store = disc_clip(), LayerFile()
    assert store.read(drawing.clip) == (None, ABSENT)
    version = store.write(drawing.clip, [{"name": "painted", "part": "subject", "invert": True}], ABSENT)
    assert store.read(drawing.clip) == ((Layer("painted", "subject", invert=True),), version)
    before = (drawing.path / "clip.yaml").read_bytes()
    store.write(drawing.clip, [{"name": "painted"}], version)
    assert store.read(drawing.clip)[0] == (Layer("painted"),)
    assert (drawing.path / "trash/clip.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ([], ClipError),
        ([{"name": "../a"}], ClipError),
        ([{"name": "a\n"}], ClipError),
        ([{"name": "a", "invert": True}], ClipError),
        ([{"name": "a"}, {"name": "a"}], ClipError),
        ([{"name": "a", "part": 7}], ClipError),
        ([{"name": "a", "colour": "red"}], ClipError),
        (["a"], ClipError),
    ],
)
def test_invalid_layers_are_refused(disc_clip, layers, error):
    drawing, store = disc_clip(), LayerFile()
    with pytest.raises(error):
        store.write(drawing.clip, layers, ABSENT)
    assert not (drawing.path / "clip.yaml").exists()


@pytest.mark.parametrize(
    "text", ["layers: [{name: &a x}]\n", "layers: !!seq [{name: x}]\n", "{gamma: 1}\n", "gamma: 1\n...\n", "a: [\n"]
)
def test_a_file_that_cannot_be_edited_stays(disc_clip, text):
    drawing, store = disc_clip(), LayerFile()
    path = drawing.path / "clip.yaml"
    path.write_text(text)
    with pytest.raises(ClipError):
        store.write(drawing.clip, [{"name": "painted"}], version_of(path))
    assert path.read_text() == text


def test_a_file_that_changed_on_disk_stays(disc_clip):
    drawing, store = disc_clip(), LayerFile()
    version = store.write(drawing.clip, [{"name": "painted"}], ABSENT)
    (drawing.path / "clip.yaml").write_text("gamma: 2\n")
    for expected in (version, ABSENT):
        with pytest.raises(FileChangedError):
            store.write(drawing.clip, [{"name": "other"}], expected)
    assert (drawing.path / "clip.yaml").read_text() == "gamma: 2\n"
