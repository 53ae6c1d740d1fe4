from functools import partial

import pytest
import torch

from dreaming.networks.fast_generator import FastGenerator


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def trained(**options):
    """A generator whose last layers are not zero."""
    torch.manual_seed(0)
    model = FastGenerator(**{"width": 8, "dilations": (1, 2)} | options).eval()
    torch.nn.init.normal_(model.leave.weight, std=0.05)
    torch.nn.init.normal_(model.head.leave.weight, std=0.05)
    return model


def test_untrained_it_returns_the_colour_map():
    image = noise(3, 30, 40)
    model = FastGenerator(pixel_steps=0).eval()
    model.warm_start([(image, -0.5 * image, torch.ones(1, 30, 40, dtype=torch.bool))])
    torch.testing.assert_close(model(image[None]), model.colours(image[None]))
    torch.testing.assert_close(model(image[None])[0], -0.5 * image, atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 2)])
def test_any_size_is_kept(size):
    assert trained()(noise(2, 3, *size)).shape == (2, 3, *size)


def test_the_chosen_share_of_a_painted_guide_is_copied():
    frame = noise(1, 7, 10, 12)
    close = partial(torch.testing.assert_close, rtol=0, atol=0.01)
    model = FastGenerator(channels=7, painted=(4,)).eval()
    model.choose.bias.data[:] = 1e7
    close(model(frame), frame[:, 4:7])
    model.choose.bias.data[:] = -1e7
    torch.testing.assert_close(model(frame), model.colours(frame[:, :3]))
    model.choose.bias.data[:] = 0.0
    torch.testing.assert_close(model(frame), (frame[:, 4:7] + model.colours(frame[:, :3])) / 2)
    model.head.leave.bias.data[:] = 0.1
    changed = model.train()(frame)
    torch.testing.assert_close(changed, (frame[:, 4:7] + model.colours(frame[:, :3]) + 0.1) / 2)
    model.choose.bias.data[:] = 1e7
    close(model(frame), frame[:, 4:7])


def test_a_guide_that_is_copied_everywhere_still_has_a_gradient():
    model = FastGenerator(channels=6, painted=(3,)).train()
    model.choose.bias.data[:] = 60.0
    frame = noise(1, 6, 10, 12)
    (model(frame) - model.colours(frame[:, :3])).abs().mean().backward()
    assert (model.choose.bias.grad > 1e-6).all(), "Adam needs a gradient above its epsilon"


@pytest.mark.slow
def test_copying_can_be_unlearned():
    torch.manual_seed(0)
    model = FastGenerator(channels=6, painted=(3,)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def copying_costs(right):
        frame = noise(2, 6, 32, 32, seed=int(torch.randint(1000, ())))
        target = frame[:, 3:] if right else model.colours(frame[:, :3])
        loss = (model(frame) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    for right in (True, False):
        costs = [copying_costs(right) for _ in range(150)]
        assert costs[-1] < 0.06, right


def test_colours_are_clipped_except_in_training():
    model = trained()
    model.head.leave.bias.data[:] = 3.0
    assert model(noise(1, 3, 8, 8)).max() == 1
    assert model.train()(noise(1, 3, 8, 8)).max() > 1


def posterised(image):
    """Steps of lightness, which no polynomial approximates."""
    return torch.where(image.mean(0, keepdim=True) > 0.1, 0.6, -0.4).expand(3, -1, -1)


@pytest.mark.slow
def test_a_warm_start_fits_steps_of_colour():
    ramp = torch.linspace(-1, 1, 64).expand(3, 48, 64)
    target, mask = posterised(ramp), torch.ones(1, 48, 64, dtype=torch.bool)
    mask[:, :, :4] = False
    model = FastGenerator(pixel_steps=150).eval()
    model.warm_start([(ramp, torch.where(mask, target, 0.9), mask)])
    errors = [(image - target).abs()[..., 4:].mean() for image in (model(ramp[None])[0], model.colours(ramp[None])[0])]
    assert errors[0] < 0.3 * errors[1]


def test_a_second_warm_start_changes_nothing():
    image, mask = noise(3, 20, 20), torch.ones(1, 20, 20, dtype=torch.bool)
    model = FastGenerator(pixel_steps=2)
    model.warm_start([(image, -image, mask)])
    state = {name: value.clone() for name, value in model.state_dict().items()}
    again = FastGenerator(pixel_steps=2)
    again.load_state_dict(state)
    again.warm_start([(image, image, mask)])
    torch.testing.assert_close(dict(again.state_dict()), state, atol=0, rtol=0)


def test_pixels_beyond_the_margin_have_no_effect():
    model, frame = trained(means=(3,)), noise(1, 3, 110, 110)
    for column in (54, 55):
        other = frame.clone()
        other[..., column + model.margin + 1 :] = 0.0
        other[..., : column - model.margin] = 0.0
        torch.testing.assert_close(model(other)[..., column], model(frame)[..., column], atol=1e-5, rtol=0)
        near = frame.clone()
        near[..., column + 4] = 0.0
        assert (model(near)[..., column] - model(frame)[..., column]).abs().max() > 1e-4


@pytest.mark.parametrize(("means", "grid"), [((3,), 2), ((3, 17), 4)])
def test_tiles_on_the_grid_equal_the_whole_frame(means, grid):
    model, frame = trained(means=means), noise(1, 3, 41, 397)
    assert model.multiple == grid
    part, whole = model(frame[..., 3 * grid : 381]), model(frame)[..., 3 * grid : 381]
    inner = (..., slice(model.margin, -model.margin))
    assert part[inner].numel()
    torch.testing.assert_close(part[inner], whole[inner], atol=1e-4, rtol=0)  # waves amplify rounding


@pytest.mark.parametrize(("following", "steps"), [(None, 10), (3, 10), (1, 6)])
def test_a_short_training_has_a_short_warm_start(monkeypatch, following, steps):
    model, asked = FastGenerator(width=4, dilations=(1,), means=(2,), pixel_steps=10), []
    monkeypatch.setattr(model.head, "fit", lambda *pixels, steps, until: asked.append(steps))
    image = torch.zeros(3, 8, 8)
    model.warm_start([(image, image, torch.ones(1, 8, 8, dtype=torch.bool))], training_steps=following)
    assert asked == [steps]
