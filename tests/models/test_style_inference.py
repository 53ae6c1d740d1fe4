import copy
import logging

import pytest
import torch
import torch._inductor.config

from dreaming.models.style_inference import compile_and_warm_up, fold_normalisation, in_fitting_tiles, whole_or_tiled
from dreaming.networks.style_generator import StyleGenerator


def generator():
    torch.manual_seed(0)
    made = StyleGenerator(filters=(4, 6, 8, 8, 7, 5), blocks=2).eval()
    for layer in made.modules():  # statistics and affine terms that change something
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values in (layer.running_mean, layer.running_var, layer.bias.data, layer.weight.data):
                values.uniform_(0.5, 1.5)
    return made


def norms(network):
    return sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


def test_folding_removes_norms_and_changes_nothing():
    plain = generator()
    folded = copy.deepcopy(plain)
    fold_normalisation(folded)
    assert norms(plain) == 8
    assert norms(folded) == 1, "the one between the smoothers comes before a convolution"
    frame = torch.rand(1, 3, 22, 30) * 2 - 1
    torch.testing.assert_close(folded(frame), plain(frame), atol=1e-5, rtol=0)


def test_tiles_shrink_until_they_fit_in_memory(caplog):
    made, seen = generator(), []

    def run(part):
        """A device with memory for this number of pixels, overlap included."""
        seen.append(part.shape[-1])
        if part.shape[-2] * part.shape[-1] > 320 * 330:
            raise torch.OutOfMemoryError
        return made(part)

    frame = torch.rand(1, 3, 300, 900) * 2 - 1
    found, tile = in_fitting_tiles(run, made, frame, tile=None, overlap=None)
    assert seen[0] == 900
    assert tile == 225
    torch.testing.assert_close(found, made(frame), atol=1e-5, rtol=0)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.records[-1].args == (900, 300, 450, tile)

    def hopeless(part):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        in_fitting_tiles(hopeless, made, frame, tile=None, overlap=None)


def test_tiles_start_on_the_grid_and_include_their_surroundings():
    made = generator()
    frame = torch.rand(1, 3, 61, 90) * 2 - 1
    found = whole_or_tiled(made, made, frame, tile=16, overlap=None)
    torch.testing.assert_close(found, made(frame), atol=1e-5, rtol=0)
    assert not torch.allclose(whole_or_tiled(made, made, frame, tile=16, overlap=0), made(frame), atol=1e-3)


class Wavy(torch.nn.Module):
    """A network that needs a compiler, because there is no ready kernel."""

    def forward(self, frame):
        return torch.nn.functional.softsign(frame) * frame.sin() + frame


@pytest.fixture
def small():
    yield Wavy()
    torch.compiler.reset()


@pytest.mark.slow
def test_a_compiled_network_gives_the_same(small, caplog):
    frame = torch.rand(1, 3, 9, 12)
    plain = small(frame)
    with caplog.at_level(logging.INFO), torch.inference_mode():
        compile_and_warm_up(small, small, torch.zeros_like(frame))
        torch.testing.assert_close(small(frame), plain, atol=1e-5, rtol=1e-5)
    assert [record.args for record in caplog.records if record.levelno == logging.INFO] == [("1x3x9x12",)]


@pytest.mark.slow
def test_without_a_compiler_a_warning_says_so_and_the_network_runs_as_it_is(small, caplog):
    absent = torch._inductor.config.patch({"cpp.cxx": ("/no/such/compiler",), "force_disable_caches": True})
    frame = torch.rand(1, 3, 10, 13)
    plain = small(frame)
    with absent, torch.inference_mode():
        compile_and_warm_up(small, small, torch.zeros_like(frame))
        assert "forward" not in vars(small)
        torch.testing.assert_close(small(frame), plain)
        compiled = []
        other = torch.compile(lambda x: x + 1, backend=lambda graph, _: compiled.append(graph) or graph)
        other(frame)
        assert compiled, "what else is compiled stays compiled"
    found = [record for record in caplog.records if record.name.startswith("dreaming")]
    (warning,) = [record.getMessage() for record in found if record.levelno == logging.WARNING]
    assert "cannot be compiled on this machine and runs uncompiled" in warning
