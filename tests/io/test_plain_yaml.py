import os

import pytest

from dreaming.io.plain_yaml import MAX_BYTES, read_plain_yaml

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
    "deep": b"[" * 5000,
    "nested": b"[" * 30 + b"]" * 30,
    "many digits": b"a: " + b"9" * 5000,
    "large": b"a" * (MAX_BYTES + 1),
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


def test_a_pipe_and_a_folder_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ValueError, match=r"\w"):
            read_plain_yaml(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_plain_yaml(tmp_path / "absent")
