"""Batches at one scale: a device gathers its own rows only, and all devices together make the whole batch."""

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import Keyframes
from dreaming.data.patches import PatchSource
from dreaming.data.scales import ScaleSampler


@pytest.mark.parametrize("patch", [5, None])
def test_devices_gather_their_rows_of_the_same_batch(monkeypatch, patch):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    masks = np.ones((6, 12, 16), bool)
    source = PatchSource(Keyframes(tuple("abcdef"), pictures, pictures, masks), masks)
    edge = np.zeros_like(masks)
    edge[:, :2] = True
    sampler = ScaleSampler(source, masks, edge, patch=patch, batch_size=6, edge_share=0.3, seed=(0,))
    gathered, method = [], "whole" if patch is None else "gather"
    plain = getattr(source, method)
    monkeypatch.setattr(source, method, lambda index, *size: gathered.append(len(index)) or plain(index, *size))
    whole = sampler.make_batch(3, slice(None))
    shares = [sampler.make_batch(3, slice(rank, None, 4)) for rank in range(4)]
    assert gathered == [12, 4, 4, 2, 2]
    for name, values in whole.items():
        for rank, share in enumerate(shares):
            assert torch.equal(share[name], values[rank::4]), name
