"""Training in two processes does what training in one does, within rounding."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dreaming.models.runs import read_best

ROOT = Path(__file__).resolve().parents[2]
TWO = (
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "trainer.precision=32-true",
    "trainer.benchmark=null",
)


@pytest.mark.slow
def test_two_processes_train_and_predict_as_one(disc_clip):
    weights, masks = {}, {}
    for name, trainer in {"one": ("trainer=cpu",), "two": TWO}.items():
        clip = disc_clip(name, masks=(1, 8)).path
        small = (
            "threads=1", "logger=csv", "data.segmentation.crop=32", "model.unet.budget.max_steps=6",
            "model.unet.validate_every=3", "model.unet.module.network.width=2", "model.unet.module.network.depth=2",
            # Statistics of a whole batch can be had on GPUs only.
            "model.unet.module.network.norm=group",
            # The other loss is no mean over samples, so that halves of a batch have another one than the whole.
            "model.unet.module.loss_weights={bce:1.0}",
        )  # fmt: skip
        command = [sys.executable, "-m", "dreaming", f"clip={clip}", "stages=[mask]", "masker=unet", *trainer, *small]
        subprocess.run(command, cwd=ROOT, check=True, timeout=500)
        best = read_best(clip / "runs" / "unet" / "best.json")
        weights[name] = torch.load(best.weights, weights_only=True)["state_dict"]
        masks[name] = {path.name: cv2.imread(str(path), 0) for path in (clip / "masks" / "unet").glob("*.png")}
    for key, value in weights["one"].items():
        # Adam makes much of what rounding leaves; of another batch it would make steps of the learning rate, 0.004.
        np.testing.assert_allclose(weights["two"][key], value, rtol=0, atol=2e-3, err_msg=key)
    assert masks["two"].keys() == masks["one"].keys()
    assert len(masks["two"]) == 8
    for name, picture in masks["one"].items():
        np.testing.assert_allclose(masks["two"][name].astype(int), picture, atol=3, err_msg=name)
