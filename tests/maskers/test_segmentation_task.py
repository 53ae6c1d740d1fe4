"""Training on hand masks: by folds where they are few, with held-out masks where they are laid out."""

import json
import shutil
from dataclasses import replace
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from dreaming.data.fold_data import TrainingMasks
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ConfigError, MaskError
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.flow.dis import DisFlow
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.cnn import CNN
from dreaming.training import run_registry as runs
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

WORKBENCH = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})


def task(max_steps: int = 8, lr: float = 0.01) -> SegmentationTask:
    network = partial(CNN, intermediate_channels=4, num_layers=2, kernel_size=3, padding="zero")
    module = partial(
        SegmentationModule, network=network, optimizer=torch.optim.AdamW, lr=lr, loss_weights={"bce": 1.0, "dice": 1.0}
    )
    data = partial(SegmentationDataModule, crop=24, batch_size=2)
    return SegmentationTask("cnn", module, data, "val/jaccard", "max", 4, FitLimits(max_steps))


def train(clip, made=None):
    references = clip.references("subject", clip.split("subject").nn)
    return (made or task()).find_or_train(clip, TrainingMasks.of(clip, references), WORKBENCH)


def test_with_few_masks_each_is_left_out_once_and_the_last_fit_has_them_all(disc_clip):
    clip = disc_clip(masks=(1, 4, 8)).clip
    best = train(clip)
    left_out = []
    for k in (1, 2, 3):
        learn = json.loads((best.folder / f"fold-{k}" / "fingerprint.json").read_text())["trained_on"]
        left_out += sorted({"0001", "0004", "0008"} - set(learn))
    assert sorted(left_out) == ["0001", "0004", "0008"]
    curves = [json.loads((best.folder / f"fold-{k}" / "fit.json").read_text())["curve"] for k in (1, 2, 3)]
    expected = {int(step): sum(curve[step] for curve in curves) / 3 for step in curves[0]}
    assert best.score == pytest.approx(max(expected.values()))
    assert expected[best.steps] == pytest.approx(best.score)
    last = json.loads((best.folder / "fit.json").read_text())
    assert last["steps"] == best.steps
    assert best.validation == "folds"


def test_a_folds_checkpoint_is_never_the_best(disc_clip):
    clip = disc_clip().clip
    best = train(clip)
    assert "fold" not in best.checkpoint
    assert "fold" not in json.loads((clip.runs("cnn") / "best.json").read_text())["checkpoint"]


@pytest.mark.slow
def test_a_finished_training_is_used_and_another_recipe_or_mask_trains_anew(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    first = train(drawing.clip)
    assert train(drawing.clip).folder == first.folder
    assert train(drawing.clip, task(lr=0.02)).folder != first.folder
    shutil.copy(drawing.path / "hand_masks" / "0004.png", drawing.path / "hand_masks" / "0005.png")
    assert train(type(drawing.clip)(drawing.path)).folder != first.folder


@pytest.mark.parametrize("features", [None, FeatureInputs(PropagationFeatures(DisFlow()), ("near_mask",))])
def test_frames_without_a_mask_count_where_evidence_is_carried_through_them(disc_clip, features):
    drawing = disc_clip(masks=(1, 8))
    made = replace(task(), inputs=("rgb", "features"), features=features)

    def fingerprint():
        clip = type(drawing.clip)(drawing.path)
        return made.fingerprint(clip, made.training_data(clip, "subject"), WORKBENCH)

    before = fingerprint()
    shutil.copy(drawing.path / "frames" / "0005.png", drawing.path / "frames" / "0004.png")
    assert (fingerprint() == before) == (features is None)


def test_a_flip_by_which_it_is_validated_is_part_of_a_training(disc_clip):
    clip, made = disc_clip().clip, task()
    references = clip.references("subject", clip.split("subject").nn)

    def fingerprint(**module):
        return replace(made, module=partial(made.module, **module)).fingerprint(
            clip, TrainingMasks.of(clip, references), WORKBENCH
        )

    assert fingerprint(flip=True) != fingerprint(flip=False)


def test_a_training_that_was_cut_off_goes_on_in_its_folder(disc_clip):
    clip = disc_clip().clip
    first = train(clip)
    for name in ("result.json", "fit.json"):
        (first.folder / name).unlink()
    (clip.runs("cnn") / "best.json").unlink()
    fold = first.folder / "fold-1" / "checkpoints" / "last.ckpt"
    stamp = fold.stat().st_mtime_ns
    again = train(clip)
    assert again.folder == first.folder
    assert again.score == first.score
    assert fold.stat().st_mtime_ns == stamp, "a finished fold was done again"


def test_a_fold_that_is_trained_first_is_kept_and_logs_no_plan_of_the_others(disc_clip, caplog):
    clip = disc_clip(masks=(1, 8)).clip
    data = TrainingMasks.of(clip, clip.references("subject", clip.split("subject").nn))
    caplog.set_level("INFO", "dreaming.training.task")
    weights = task().train_fold(clip, data, WORKBENCH, task().folds_of(clip, data.references)[1])
    stamp = weights.stat().st_mtime_ns
    best = train(clip)
    assert weights.is_relative_to(best.folder / "fold-2")
    assert weights.stat().st_mtime_ns == stamp
    plans = [record.args[1] for record in caplog.records if record.msg == "%s: %s"]
    assert len(plans) == len(set(plans)) == 2


def test_masks_laid_out_for_validation_are_not_trained_on(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    for use, stems in (("train", ("0001", "0008")), ("valid", ("0004",))):
        for side, source in (("input", "frames"), ("output", "hand_masks")):
            folder = drawing.path / "nn" / f"{use}_{side}"
            folder.mkdir(parents=True)
            for stem in stems:
                shutil.copy(drawing.path / source / f"{stem}.png", folder)
    shutil.rmtree(drawing.path / "hand_masks")
    best = train(drawing.clip)
    assert best.validation == "explicit"
    assert not (best.folder / "fold-1").exists()
    curve = json.loads((best.folder / "fit.json").read_text())["curve"]
    assert best.score == pytest.approx(max(curve.values()))


def test_a_network_that_reaches_across_a_crop_is_refused_before_anything_is_begun(disc_clip):
    clip, made = disc_clip(masks=(1, 8)).clip, task()
    deep = partial(CNN, kernel_size=9, num_layers=4, dilation=2, padding="reflection")
    made = replace(made, module=partial(made.module, network=deep))
    with pytest.raises(ConfigError) as caught:
        made.measure(clip, "subject", WORKBENCH, clip.runs("cnn") / "trial")
    assert caught.value.where == "data.segmentation.crop"
    assert not clip.runs("cnn").exists()


def test_one_mask_is_too_few(disc_clip):
    with pytest.raises(MaskError) as caught:
        train(disc_clip(masks=(4,)).clip)
    assert caught.value.expected == "at least 2"


def test_a_lone_mask_that_shows_the_subject_is_in_every_fold_and_the_budget_is_used_up(disc_clip, caplog):
    drawing = disc_clip(masks=(1, 4, 8))
    for number in (4, 8):
        drawing.save(f"hand_masks/{number:04d}.png", drawing.truth["0004"] & False)
    best = train(drawing.clip)
    folds = [json.loads(path.read_text())["trained_on"] for path in sorted(best.folder.glob("fold-*/fingerprint.json"))]
    assert folds == [["0001", "0008"], ["0001", "0004"]]
    assert best.steps == 8
    assert "WARNING" in [record.levelname for record in caplog.records if record.args[:2] == ("cnn", "0001")]


def test_masks_to_train_and_to_validate_on_are_told_where_none_shows_the_subject(disc_clip, caplog):
    drawing = disc_clip(masks=())
    for use, number in (("train", 1), ("train", 4), ("valid", 8)):
        drawing.save(f"nn/{use}_input/{number:04d}.png", drawing.images[f"{number:04d}"])
        drawing.save(f"nn/{use}_output/{number:04d}.png", drawing.truth[f"{number:04d}"] & (use == "train"))
    train(drawing.clip)
    assert ("cnn", "subject") in [record.args for record in caplog.records if record.levelname == "WARNING"]
    for use, number in (("train", 1), ("train", 4), ("valid", 8)):
        drawing.save(f"nn/{use}_output/{number:04d}.png", drawing.truth[f"{number:04d}"] & (use == "valid"))
    with pytest.raises(MaskError) as caught:
        train(type(drawing.clip)(drawing.path))
    assert caught.value.found.startswith("0 of 2 hand masks")


def test_the_pictures_of_the_folds_are_kept(disc_clip):
    best = train(disc_clip().clip)
    assert (best.folder / "fold-1" / "validation.png").exists()
    assert runs.find(best.folder.parent, best.fingerprint) is not None


def test_measuring_fits_by_folds_only_and_training_there_adds_the_last_fit(disc_clip):
    clip = disc_clip(masks=(1, 8)).clip
    folder = clip.runs("cnn") / "trial"
    score = task().measure(clip, "subject", WORKBENCH, folder)
    kept = [(folder / f"fold-{k}" / "fit.json").stat().st_mtime_ns for k in (1, 2)]
    assert not (folder / "result.json").exists()
    assert not (clip.runs("cnn") / "best.json").exists()
    best = task().train(clip, "subject", WORKBENCH, folder)
    assert best.score == score
    assert [(folder / f"fold-{k}" / "fit.json").stat().st_mtime_ns for k in (1, 2)] == kept
    assert train(clip).weights == best.weights, "it is used from then on"


def test_masks_at_the_ends_are_left_out_of_no_fold_if_enough_lie_between_others(disc_clip):
    clip = disc_clip(count=9, masks=(1, 3, 5, 7, 9)).clip
    folder = clip.runs("cnn") / "trial"
    task(max_steps=1).measure(clip, "subject", WORKBENCH, folder)
    folds = [json.loads(path.read_text())["trained_on"] for path in sorted(folder.glob("fold-*/fingerprint.json"))]
    left_out = [{"0001", "0003", "0005", "0007", "0009"} - set(stems) for stems in folds]
    assert left_out == [{"0003"}, {"0005"}, {"0007"}]


def test_further_callbacks_learn_which_fit_of_how_many_they_watch(disc_clip):
    clip, seen = disc_clip(masks=(1, 8)).clip, []

    def build(index, count, steps):
        seen.append((index, count, steps))
        return pl.Callback()

    watched = replace(WORKBENCH, callbacks=(build,))
    task().measure(clip, "subject", watched, clip.runs("cnn") / "trial")
    assert seen == [(0, 2, 8), (1, 2, 8)]
