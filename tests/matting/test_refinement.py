"""Methods of matting: each frame keeps its name; processes give what one process gives."""

import numpy as np
import pytest

from dreaming.errors import ConfigError
from dreaming.imaging.morphology import feather
from dreaming.matting import laplacian
from dreaming.matting.refinement import refine, refine_all

MASK = np.zeros((40, 60), np.float32)
MASK[10:30, 15:45] = 1
MASK = feather(MASK, 2)
IMAGE = np.random.default_rng(0).integers(0, 40, (40, 60, 3)).astype(np.uint8)
IMAGE[12:29, 14:44] += 150


def test_frames_come_in_order_with_their_mattes():
    frames = [(name, IMAGE, MASK) for name in "abc"]
    found = list(refine_all(iter(frames), "guided", 0.08, 2))
    assert [name for name, _ in found] == list("abc")
    for _, (image, matte) in found:
        assert image is IMAGE
        np.testing.assert_array_equal(matte, refine(IMAGE, MASK, "guided", 0.08))
    assert refine(IMAGE, MASK, "none", 0.08) is MASK


def test_a_method_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr(laplacian, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as refused:
        laplacian.check_installed("knn")
    assert refused.value.where == "matte"
    assert "dreaming[matting]" in refused.value.hint


@pytest.mark.slow
def test_processes_give_what_one_process_gives():
    pytest.importorskip("pymatting")
    frames = [(name, IMAGE, MASK) for name in "ab"]
    one, two = (dict(refine_all(iter(frames), "closed_form", 0.08, workers)) for workers in (1, 2))
    assert list(one) == list(two) == ["a", "b"]
    np.testing.assert_allclose(two["b"][1], one["b"][1], atol=1e-6)
