"""An error leaves the old file and nothing else; test_writer.py tests it with a full disk."""

import errno

import pytest

from dreaming.errors import AccessError
from dreaming.video.output import open_output


def test_the_result_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "x.mov"
    with open_output(path) as temporary:
        temporary.write_bytes(b"first")
        assert not path.exists()
    assert path.read_bytes() == b"first"
    with pytest.raises(FileNotFoundError), open_output(path):
        pass  # nothing is written
    assert path.read_bytes() == b"first"
    assert [each.name for each in path.parent.glob("*.part")] == []


def test_an_encoder_that_may_not_write_is_explained_by_the_file(tmp_path):
    with pytest.raises(AccessError) as error, open_output(tmp_path / "x.mp4"):
        raise PermissionError(errno.EACCES, "as from av, which names no file")
    assert error.value.where == str(tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())
