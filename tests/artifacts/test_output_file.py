"""Results that a person may have edited or replaced."""

import pytest

from dreaming.artifacts.output_file import RECORD, write_output
from dreaming.errors import ClipError


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and path.name != RECORD}


def test_results_are_replaced_and_files_of_a_person_are_kept(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"a person's")
    for data in (b"first", b"second"):
        write_output(path, data)
    assert contents(tmp_path) == {"report.html": b"second", "report.html.kept-1": b"a person's"}
    path.write_bytes(b"edited")
    write_output(path, b"third")
    assert contents(tmp_path)["report.html.kept-2"] == b"edited"
    (tmp_path / RECORD).write_bytes(b"damaged")
    write_output(path, b"fourth")
    write_output(path, b"fifth")
    assert contents(tmp_path)["report.html.kept-3"] == b"third"
    assert len(contents(tmp_path)) == 4


@pytest.mark.parametrize("killed_before", [True, False])
def test_a_kill_beside_the_renaming_leaves_known_files(tmp_path, monkeypatch, killed_before):
    path = tmp_path / "report.html"
    write_output(path, b"first")
    rename = type(path).replace

    def killed(temporary, target):
        if target == path and killed_before:
            raise KeyboardInterrupt
        result = rename(temporary, target)
        if target == path:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_output(path, b"second")
    write_output(path, b"third")
    assert contents(tmp_path) == {"report.html": b"third"}


def test_a_linked_result_is_refused(tmp_path):
    (tmp_path / "holiday.html").write_bytes(b"mine")
    (tmp_path / "report.html").symlink_to(tmp_path / "holiday.html")
    with pytest.raises(ClipError):
        write_output(tmp_path / "report.html", b"data")
    assert (tmp_path / "holiday.html").read_bytes() == b"mine"
