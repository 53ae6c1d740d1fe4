import time

import pytest
import torch

from dreaming.networks.pixel_head import TIMED_STEPS, PixelHead


def head(**options):
    torch.manual_seed(0)
    return PixelHead(**{"channels": 4, "colours": 1, "width": 16, "frequencies": (4, 8)} | options)


def rows(count=500):
    rng = torch.Generator().manual_seed(1)
    return torch.rand(count, 4, generator=rng) * 2 - 1, torch.rand(count, 1, generator=rng) * 2 - 1


def test_the_initial_output_is_zero():
    assert (head()(torch.rand(2, 4, 5, 6), torch.rand(2, 1, 5, 6)) == 0).all()


def test_pixels_are_independent():
    model, (features, colours) = head(), rows(12)
    torch.nn.init.normal_(model.leave.weight)
    whole = model(features.T.reshape(1, 4, 3, 4), colours.T.reshape(1, 1, 3, 4))
    alone = model(features[5].view(1, 4, 1, 1), colours[5].view(1, 1, 1, 1))
    torch.testing.assert_close(whole[..., 1, 1], alone[..., 0, 0])


def test_waves_approximate_stripes_of_colour():
    features, colours = rows()
    stripes = torch.sign(torch.sin(8 * torch.pi * colours)).expand(-1, 3)
    errors = []
    for frequencies in ((4, 8), ()):
        model = head(frequencies=frequencies)
        model.fit(features, colours, stripes, steps=150, batch=500)
        changes = model(features.T[None, :, :, None], colours.T[None, :, :, None])[0, :, :, 0].T
        errors.append((changes - stripes).abs().mean())
    assert errors[0] < 0.3 * errors[1]


def test_chunks_of_rows_equal_one_pass():
    model = head()
    torch.nn.init.normal_(model.leave.weight)
    features, colours = torch.rand(2, 4, 91, 211), torch.rand(2, 1, 91, 211)
    with torch.no_grad():
        chunked = model(features, colours)
    torch.testing.assert_close(chunked, model(features, colours))


def test_waves_are_sines_and_cosines_of_each_frequency():
    colours = rows()[1].T[None, :, :, None]
    waves = torch.stack(head(frequencies=(3, 6, 12, 4))._waves(colours))
    expected = [wave(torch.pi * f * colours) for f in (3, 6, 12, 4) for wave in (torch.sin, torch.cos)]
    torch.testing.assert_close(waves, torch.stack(expected), atol=2e-5, rtol=0)


def test_a_fit_is_reproducible_and_leaves_no_gradient():
    models = [head(), head()]
    for model in models:
        model.fit(*rows(), torch.ones(500, 3), steps=3, batch=100)
        assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(dict(models[0].state_dict()), dict(models[1].state_dict()), atol=0, rtol=0)


def test_a_generous_time_limit_changes_nothing():
    models = [head(), head()]
    for model, until in zip(models, (None, time.monotonic() + 1000), strict=True):
        model.fit(*rows(), torch.ones(500, 3), steps=2 * TIMED_STEPS, batch=100, until=until)
    assert torch.equal(models[0].leave.weight, models[1].leave.weight)


def test_a_tight_time_limit_shortens_the_schedule(monkeypatch):
    model, rates = head(), []
    monkeypatch.setattr(time, "monotonic", lambda: float(len(rates)))  # a second a step
    step = torch.optim.Adam.step

    def recorded(self, *more):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *more)

    monkeypatch.setattr(torch.optim.Adam, "step", recorded)
    model.fit(*rows(), torch.ones(500, 3), steps=10**5, batch=100, until=300)
    assert len(rates) == 300
    assert rates[0] == pytest.approx(3e-3)
    assert rates[-1] < 1e-4 * rates[0]
