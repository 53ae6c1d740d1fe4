"""OpenEXR files hold half floats, and a mark by which they are known as dreaming's; test_export.py decodes them too."""

import av
import numpy as np

from dreaming.io.exr import ExrFolder
from dreaming.io.frame_folder import is_signed


def test_values_are_kept_to_half_precision(tmp_path):
    image = np.random.default_rng(0).random((5, 7, 4)).astype(np.float32)
    folder = ExrFolder(tmp_path / "x")
    path = folder.write("a.0001", image)
    folder.refresh()
    assert folder.stems == ["a.0001"]
    with av.open(str(path), format="exr_pipe") as file:
        frame = next(file.decode(video=0))
    assert frame.format.name == "gbrapf16le"
    planes = [np.frombuffer(plane, np.float16).reshape(5, -1)[:, :7] for plane in frame.planes]
    np.testing.assert_array_equal(np.dstack([planes[i] for i in (2, 0, 1, 3)]), image.astype(np.float16))


def test_a_file_that_another_program_wrote_is_not_signed(tmp_path):
    folder = ExrFolder(tmp_path)
    path = folder.write("a", np.zeros((4, 4, 4), np.float32))
    assert is_signed(path)
    path.write_bytes(path.read_bytes()[:-12])
    assert not is_signed(path)
    path.write_bytes(b"\x76\x2f\x31\x01")
    assert not is_signed(path)
