"""SAM 2.1's predictor with a small random network: built without Hydra, loaded, and tracking with flat memory."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from dreaming.errors import DreamingError, WeightsError
from dreaming.maskers.pretrained.sam2_network import (
    _Frames,
    _state,
    build_predictor,
    find_sam2,
    load_predictor,
    read_architecture,
    track,
)

MASK = np.indices((32, 48))[1] < 20


@pytest.mark.skipif(find_spec("sam2") is not None, reason="sam2 is installed")
def test_a_missing_package_is_one_sentence():
    with pytest.raises(DreamingError) as raised:
        find_sam2()
    assert "--no-deps sam2==1.1.0" in raised.value.hint


@pytest.mark.slow
def test_a_network_is_built_without_hydra(random_sam2):
    assert not GlobalHydra.instance().is_initialized()
    architecture = read_architecture("tiny")
    architecture["memory_encoder"]["_target_"] = "os.system"
    with pytest.raises(AssertionError):
        build_predictor(architecture)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [b"", b"no weights", {"model": {"a": torch.zeros(1)}}, {"model": [1]}, {"weights": {}}, [1], {"model": print}],
)
def test_a_wrong_checkpoint_is_one_sentence(checkpoint, tmp_path, content):
    path = tmp_path / "wrong.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError) as raised:
        load_predictor(path, str(content), "tiny")
    assert raised.value.where == str(path)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_weights_of_another_size_are_refused(checkpoint):
    with pytest.raises(WeightsError):
        load_predictor(checkpoint, "", "small")


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
def test_forgetting_what_is_not_looked_up_changes_nothing(checkpoint, reverse):
    predictor = build_predictor({**read_architecture("tiny"), "num_maskmem": 3, "max_obj_ptrs_in_encoder": 3})
    pictures = np.random.default_rng(0).integers(0, 256, (12, 32, 48, 3), np.uint8)
    read = []

    def recorded(index):
        read.append(index)
        return pictures[index]

    prompts = {0: MASK, 11: MASK[:, ::-1]}
    found = dict(track(predictor, recorded, 12, prompts, reverse=reverse))
    order = list(range(12))[:: -1 if reverse else 1]
    assert list(found) == order
    assert read[:2] == [0, 11], "the prompts, then each frame once"
    assert [index for index in read[2:] if index not in (0, 11)] == order[1:-1]
    for probability in found.values():
        assert (probability.shape, probability.dtype) == ((32, 48), np.float32)
        assert 0 <= probability.min() <= probability.max() <= 1
    for index, mask in prompts.items():
        assert ((found[index] > 0.5) == mask).mean() > 0.95
    # The package's own loop, which forgets nothing.
    state = _state(predictor, _Frames(lambda index: pictures[index], 12, 128), (32, 48))
    for index, mask in prompts.items():
        predictor.add_new_mask(state, index, 1, mask.copy())
    for index, _, logits in predictor.propagate_in_video(state, start_frame_idx=order[0], reverse=reverse):
        np.testing.assert_array_equal(found[index], logits[0, 0].sigmoid().numpy())
