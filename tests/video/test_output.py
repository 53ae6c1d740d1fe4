"""An error leaves the old file and nothing else; test_writer.py tests it with a full disk."""

import pytest

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
