"""A value that was measured on a folder is used again until the folder, or what else it depends on, changes."""

import os

import pytest

from dreaming.artifacts.measurements import KEPT, RECORD, measured


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    (made / "a.png").write_bytes(b"1")
    return made


@pytest.fixture
def measure(folder):
    """Measure once more; return the value, which counts the measurements."""
    calls = []

    def count():
        calls.append(1)
        return [len(calls), 0.1 + 0.2]

    return lambda name="x", depends=("flow",): measured(folder.parent, name, folder, depends, count)


def rename_another_over_it(file):
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.rename(file)


def set_back_the_time(file):
    before = file.stat()
    file.write_bytes(b"2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_value_is_measured_once(measure):
    assert measure() == measure() == [1, 0.1 + 0.2]


@pytest.mark.parametrize(
    "change", [os.remove, lambda file: file.write_bytes(b"22"), rename_another_over_it, set_back_the_time]
)
def test_it_is_measured_again_after_a_file_changed(measure, folder, change):
    measure()
    change(folder / "a.png")
    assert measure()[0] == 2


def test_it_is_measured_again_if_what_it_depends_on_changes(measure):
    assert [measure(depends=each)[0] for each in (["a"], ["b"], ["b"], ["a"])] == [1, 2, 2, 3]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"values": 3}', b'{"values": {"x": 3}}', b'{"values": {"x": {}}}']
)
def test_a_damaged_record_is_measured_again(measure, folder, content):
    measure()
    (folder.parent / RECORD).write_bytes(content)
    assert measure()[0] == 2
    assert measure()[0] == 2


def test_the_record_keeps_the_values_measured_last(measure):
    for number in range(KEPT + 1):
        measure(str(number))
    assert measure(str(KEPT))[0] == KEPT + 1
    assert measure("0")[0] == KEPT + 2
