import time

import pytest
import torch

from dreaming.networks.pixel_head import PACED, PixelHead


def head(**options):
    torch.manual_seed(0)
    return PixelHead(**{"channels": 4, "colours": 1, "width": 16, "frequencies": (4, 8)} | options)


def rows(count=500):
    draw = torch.Generator().manual_seed(1)
    return torch.rand(count, 4, generator=draw) * 2 - 1, torch.rand(count, 1, generator=draw) * 2 - 1


def test_it_begins_with_no_change():
    assert (head()(torch.rand(2, 4, 5, 6), torch.rand(2, 1, 5, 6)) == 0).all()


def test_a_pixel_depends_on_itself_alone():
    model, (features, colours) = head(), rows(12)
    torch.nn.init.normal_(model.leave.weight)
    whole = model(features.T.reshape(1, 4, 3, 4), colours.T.reshape(1, 1, 3, 4))
    alone = model(features[5].view(1, 4, 1, 1), colours[5].view(1, 1, 1, 1))
    torch.testing.assert_close(whole[..., 1, 1], alone[..., 0, 0])


def test_waves_let_it_learn_stripes_of_colour():
    features, colours = rows()
    stripes = torch.sign(torch.sin(8 * torch.pi * colours)).expand(-1, 3)
    left = []
    for frequencies in ((4, 8), ()):
        model = head(frequencies=frequencies)
        model.fit(features, colours, stripes, steps=150, batch=500)
        made = model(features.T[None, :, :, None], colours.T[None, :, :, None])[0, :, :, 0].T
        left.append((made - stripes).abs().mean())
    assert left[0] < 0.3 * left[1]


def test_rows_one_after_another_give_what_all_at_once_give():
    model = head()
    torch.nn.init.normal_(model.leave.weight)
    features, colours = torch.rand(2, 4, 91, 211), torch.rand(2, 1, 91, 211)
    with torch.no_grad():
        parted = model(features, colours)
    torch.testing.assert_close(parted, model(features, colours))


def test_waves_are_sines_and_cosines_of_each_frequency():
    colours = rows()[1].T[None, :, :, None]
    found = torch.stack(head(frequencies=(3, 6, 12, 4))._waves(colours))
    wanted = [wave(torch.pi * often * colours) for often in (3, 6, 12, 4) for wave in (torch.sin, torch.cos)]
    torch.testing.assert_close(found, torch.stack(wanted), atol=2e-5, rtol=0)


def test_a_fit_is_the_same_every_time_and_leaves_no_gradient():
    models = [head(), head()]
    for model in models:
        model.fit(*rows(), torch.ones(500, 3), steps=3, batch=100)
        assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(dict(models[0].state_dict()), dict(models[1].state_dict()), atol=0, rtol=0)


def test_a_fit_that_has_time_is_as_one_without_a_limit():
    models = [head(), head()]
    for model, until in zip(models, (None, time.monotonic() + 1000), strict=True):
        model.fit(*rows(), torch.ones(500, 3), steps=2 * PACED, batch=100, until=until)
    assert torch.equal(models[0].leave.weight, models[1].leave.weight)


def test_a_fit_without_time_does_fewer_steps_and_ends_as_finely(monkeypatch):
    model, rates = head(), []
    monkeypatch.setattr(time, "monotonic", lambda: float(len(rates)))  # a second a step
    step = torch.optim.Adam.step

    def watched(self, *more):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *more)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    model.fit(*rows(), torch.ones(500, 3), steps=10**5, batch=100, until=300)
    assert len(rates) == 300
    assert rates[0] == pytest.approx(3e-3)
    assert rates[-1] < 1e-4 * rates[0]
