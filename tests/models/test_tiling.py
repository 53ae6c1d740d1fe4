from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreaming.errors import ConfigError
from dreaming.models.tiling import fitting, padded, region, starts, tiled

sizings = st.builds(
    lambda margin, multiple, residue: SimpleNamespace(margin=margin, multiple=multiple, residue=residue % multiple),
    st.integers(0, 9), st.sampled_from([1, 2, 4, 8]), st.integers(0, 7),
)  # fmt: skip


@given(st.integers(1, 60), sizings)
def test_fitting_is_the_nearest_length_that_fits(length, sizing):
    def fits(size):
        return (size - 2 * sizing.margin - sizing.residue) % sizing.multiple == 0

    grown, cut = fitting(length, sizing), fitting(length, sizing, cut=True)
    assert fits(grown)
    assert 0 <= grown - 2 * sizing.margin - length < sizing.multiple
    assert fits(cut)
    assert 0 <= length - cut < sizing.multiple


def test_padding_surrounds_a_region_by_the_margin():
    sizing = SimpleNamespace(margin=44, multiple=8, residue=4)
    assert padded((0, 0), (720, 1280), sizing) == ((-44, -44), (812, 1372))


def test_regions_are_mirrored_at_the_frames_edges():
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert region(image, (-1, -1), (3, 5)).tolist() == [[[[4, 3, 4, 5, 4], [1, 0, 1, 2, 1], [4, 3, 4, 5, 4]]]]
    assert region(image, (0, 0), (2, 3)) is image


@given(st.integers(1, 300), st.integers(24, 90), st.integers(0, 20), st.sampled_from([1, 2, 4]))
def test_tiles_cover_an_axis_at_multiples(length, tile, overlap, multiple):
    found = starts(length, tile, overlap, multiple)
    assert all(start % multiple == 0 for start in found)
    assert found[0] == 0
    assert found[-1] + tile >= length
    assert found[-1] == 0 or found[-1] + tile < length + multiple
    assert all(0 < b - a <= max(multiple, tile - overlap) for a, b in pairwise(found))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 12))
def test_tiles_of_a_pointwise_function_are_the_function(height, width, overlap):
    frame = torch.rand(2, 1, height, width)

    def logits_of(origin, size):
        return frame[..., origin[0] : origin[0] + size[0], origin[1] : origin[1] + size[1]]

    torch.testing.assert_close(tiled(logits_of, (height, width), 20, overlap, 4), frame)


def test_neighbours_fade_into_each_other_linearly():
    def logits_of(origin, size):
        return torch.full((1, 1, *size), float(origin[1] > 0))

    across = tiled(logits_of, (1, 16), 10, 4, 1)[0, 0, 0]  # tiles at 0 and 6
    assert across[:6].tolist() == [0] * 6
    assert across[6:10].tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert across[10:].tolist() == [1] * 6


def test_overlaps_that_eat_the_tile_are_refused():
    with pytest.raises(ConfigError) as caught:
        tiled(lambda origin, size: torch.zeros(1, 1, *size), (100, 100), 64, 64, 16)
    assert (caught.value.where, caught.value.expected) == ("tile", "at least 80")
