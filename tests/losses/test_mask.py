import math

import pytest
import torch

from dreaming.losses.mask import bce, dice


def logit(p):
    return math.log(p / (1 - p))


LOGITS = torch.tensor([logit(0.9), logit(0.2), logit(0.5), logit(0.4)]).view(1, 1, 2, 2)
MASK = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2)


def test_bce_by_hand():
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5) + math.log(0.6)) / 4
    assert bce(LOGITS, MASK).item() == pytest.approx(expected, rel=1e-5)


def test_dice_by_hand():
    assert dice(LOGITS, MASK, smooth=1).item() == pytest.approx(1 - (2 * 1.4 + 1) / (2.0 + 2 + 1), rel=1e-5)


def test_right_masks_have_a_loss_of_0_and_wrong_ones_of_1():
    confident = (MASK * 2 - 1) * 50
    assert all(term.item() == pytest.approx(0, abs=1e-6) for term in (bce(confident, MASK), dice(confident, MASK)))
    assert dice(-confident, MASK, smooth=0).item() == pytest.approx(1)
    assert dice(torch.full((1, 1, 2, 2), -50.0), torch.zeros(1, 1, 2, 2)).item() == pytest.approx(0, abs=1e-6)


def test_terms_have_gradients_and_are_float32_under_half_precision():
    logits = LOGITS.bfloat16().requires_grad_()
    terms = {"bce": bce(logits, MASK), "dice": dice(logits, MASK)}
    assert set(terms) == {"bce", "dice"}
    for term in terms.values():
        assert term.dtype == torch.float32
        (gradient,) = torch.autograd.grad(term, logits, retain_graph=True)
        assert (gradient.sign() == 1 - 2 * MASK).all()
