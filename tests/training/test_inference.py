"""Inference runs where and as precisely as the trainer's config says."""

import threading
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from threadpoolctl import threadpool_info

from dreaming.training.context import TrainingContext
from dreaming.training.devices import has_fast_bfloat16, suited_trainer
from dreaming.training.inference import prepare_inference


class Product(pl.LightningModule):
    def forward(self, x):
        return x @ x


def test_the_precision_of_the_trainer_holds_in_the_block():
    for precision, kind in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        trainer = partial(pl.Trainer, accelerator="cpu", devices=1, precision=precision)
        runner = prepare_inference(Product(), TrainingContext(trainer))
        assert runner.device.type == "cpu"
        with runner.forward_context():
            assert torch.is_inference_mode_enabled()
            assert Product()(torch.ones(2, 2)).dtype == kind
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")


def test_the_suited_trainer_takes_half_precision_where_it_is_fast():
    trainer = suited_trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    assert trainer.precision == ("bf16-mixed" if has_fast_bfloat16() else "32-true")


@pytest.fixture(
    params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
)
def runner(request):
    trainer = partial(pl.Trainer, accelerator=request.param, devices=1)
    return prepare_inference(Product(), TrainingContext(trainer))


def test_a_stream_computes_every_item_in_order(runner):
    items = ((key, [np.full((2, 3), key), np.ones((2, 3))]) for key in range(5))
    results = list(runner.stream(lambda first, second: first * 2 + second, items))
    assert [key for key, _ in results] == list(range(5))
    for key, result in results:
        np.testing.assert_array_equal(result, np.full((2, 3), 2 * key + 1))


def test_a_stream_holds_no_context_while_its_consumer_runs(runner):
    modes = []

    def compute(array):
        modes.append(torch.is_inference_mode_enabled())
        return array

    for _ in runner.stream(compute, [(0, [np.zeros(2)]), (1, [np.zeros(2)])]):
        assert not torch.is_inference_mode_enabled()
    assert modes == [True, True]


def test_a_stream_reads_few_items_ahead(runner):
    taken, ahead = [], torch.get_num_threads() if runner.device.type == "cpu" else 1

    def items():
        for key in range(4):
            taken.append(key)
            yield key, [np.zeros(1)]

    for key, _ in runner.stream(lambda array: array, items()):
        assert len(taken) <= key + 1 + ahead


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("limit", "workers"), [(1, 1), (2 * 64, 2), (2**20, 4)])
def test_a_cpu_shares_its_threads_out_to_as_many_frames_as_fit_in_memory(monkeypatch, four_threads, limit, workers):
    monkeypatch.setattr("dreaming.training.inference.PIXELS_AT_ONCE", limit)
    runner = prepare_inference(Product(), TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1)))
    used, together = dict[int, int](), threading.Barrier(workers)

    def compute(frame):
        (openmp,) = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp"}
        used[threading.get_ident()] = openmp
        together.wait(timeout=60)  # fails unless as many frames are computed at once
        return frame * 2

    frames = [(key, [np.full((8, 8, 3), key)]) for key in range(8)]
    for key, result in runner.stream(compute, frames):
        np.testing.assert_array_equal(result, np.full((8, 8, 3), 2 * key))
    assert len(used) == workers
    assert set(used.values()) == {4 // workers}
    assert torch.get_num_threads() == 4
