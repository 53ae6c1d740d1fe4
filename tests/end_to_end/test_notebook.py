"""Training in a notebook, as in the tutorial for engineers: a DataModule of a clip, a LightningModule, a Trainer."""

import numpy as np
import pytest


@pytest.mark.slow
def test_a_network_is_trained_in_ten_lines(disc_clip):
    path = disc_clip(masks=(1, 4, 8)).path
    # docs/tutorials/engineers.md quotes the lines between here and the end of the example.
    from functools import partial

    import pytorch_lightning as pl
    import torch

    from dreaming.clip.clip import Clip
    from dreaming.data.segmentation import SegmentationDataModule
    from dreaming.imaging.colour_statistics import measure
    from dreaming.models.segmentation import SegmentationModule
    from dreaming.networks.unet import UNet

    pl.seed_everything(0)
    clip = Clip(path)
    masks = clip.training_references("subject")
    colours = measure(image for _, image in clip.frames.read_ahead(clip.stems))
    held_out = [masks.stems[1]]
    data = SegmentationDataModule(masks.without(held_out), masks.select(held_out), colours, crop=32, steps_per_epoch=20)
    module = SegmentationModule(
        network=partial(UNet, depth=2, width=4), optimizer=torch.optim.AdamW, lr=0.02, statistics=colours,
        loss_weights={"bce": 1.0, "dice": 1.0},
    )  # fmt: skip
    trainer = pl.Trainer(max_epochs=4, accelerator="cpu", logger=False, default_root_dir=path)
    trainer.fit(module, data)
    loaded = SegmentationModule.load_from_checkpoint(trainer.checkpoint_callback.best_model_path, weights_only=True)
    image = torch.from_numpy(clip.frames.read("0002")).movedim(2, 0)[None] / 255
    mask = loaded.eval().predict_probability(image.to(loaded.device))[0, 0] > 0.5
    # End of the example.
    truth = clip.references("subject", ["0004"]).masks
    assert mask.shape == truth.shape[1:]
    assert trainer.callback_metrics["val/jaccard"] > 0.9
    np.testing.assert_equal(trainer.global_step, 80)
