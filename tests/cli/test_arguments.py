"""Arguments as users type them: what Hydra reads from them in the end."""

import unicodedata
from pathlib import Path

import pytest

from dreaming.cli.arguments import rewrite
from dreaming.cli.config import parse

PATHS = [
    "clips/dancer",
    "clips/Tänzer",
    "clips/踊り",
    "IMG_0001 (1).MOV",
    "my(1).mp4",
    "a=b",
    "a,b",
    "a[1]",
    "it's",
    "a\\'b\\\\",
    "{x:1}",
    "#1 50%: a;b",
    " x ",
    "007",
    "1e3",
    "true",
]


@pytest.mark.parametrize("key", ["clip", "import", "ckpt_path", "stage.export.frame_name"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_read_as_it_is(key, path):
    (override,) = parse(rewrite([f"{key}={path}"]))
    assert override.key_or_group == key
    assert override.value() == path


@pytest.mark.parametrize(
    "text", ["clip='a b'", 'clip="a b"', "clip=${oc.env:HOME}/x", "clip=null", "clip=", "seed=007"]
)
def test_what_is_quoted_or_no_path_stays(text):
    assert rewrite([text]) == [text]


@pytest.mark.parametrize(("stored", "typed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_path_may_encode_accents_in_another_way_than_the_disk(tmp_path, stored, typed):
    folder, path = (unicodedata.normalize(form, f"{tmp_path}/Tänzer é/é.mp4") for form in (stored, typed))
    Path(folder).parent.mkdir()
    Path(folder).touch()
    for key in ("video", "clip"):
        (override,) = parse(rewrite([f"{key}={path}"]))
        assert override.value() == folder
    (new,) = parse(rewrite([f"clip={path}/x"]))
    assert new.value() == f"{path}/x"
    (several,) = parse(rewrite(["-m", f"clip={path},{folder}"]))
    assert [parse([f"clip={text}"])[0].value() for text in several.sweep_string_iterator()] == [folder, folder]


@pytest.mark.parametrize("path", [5000 * "x", "~nobody-of-this-name/x", "\0é", "/dev/null/é", "~"])
def test_a_path_that_cannot_exist_stays(path):
    (override,) = parse(rewrite([f"clip={path}"]))
    assert override.value() == path


def test_quotes_that_cmd_passes_on_are_dropped():
    assert rewrite(["clip=a", "'stages=[mask]'", "'video=my, film.mp4'"]) == [
        "clip=a",
        "stages=[mask]",
        *rewrite(["video=my, film.mp4"]),
    ]
    assert rewrite(["", "'", "'a'"]) == ["", "'", "'a'"]


def test_a_comma_separates_clips_of_a_multirun_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (several,) = parse(rewrite(["-m", "clip=Tänzer,b c"]))
    assert [parse([f"clip={text}"])[0].value() for text in several.sweep_string_iterator()] == ["Tänzer", "b c"]
    (one,) = parse(rewrite(["clip=A,B"]))
    assert one.value() == "A,B"
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
    (forgotten,) = parse(rewrite(["clip=A,B"]))
    assert forgotten.is_sweep_override(), "the missing -m is explained"
    (tmp_path / "A,B").mkdir()
    (one,) = parse(rewrite(["-m", "clip=A,B"]))
    assert one.value() == "A,B"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("stages=extract", ["extract"]),
        ("stages=extract,mask", ["extract", "mask"]),
        ("stages=[extract,mask]", ["extract", "mask"]),
        ("guides=propagated", ["propagated"]),
        ("trusted_packages=mine", ["mine"]),
    ],
)
def test_a_list_needs_no_brackets(text, value):
    for arguments in ([text], ["-m", text]):
        (override,) = parse(rewrite(arguments))
        assert override.value() == value


def test_values_of_flags_stay():
    assert rewrite(["--config-dir", "clip=a b", "-m"]) == ["--config-dir", "clip=a b", "-m"]
