"""``train.py`` on the tiny clip: what it leaves, how it goes on, and what it refuses."""

import json

import pytest

CHOICES = [("unet", "val/jaccard"), ("cnn", "val/jaccard"), ("style", "val/quality")]


@pytest.mark.parametrize(("model", "monitor"), CHOICES)
def test_a_training_leaves_its_config_metrics_and_best_checkpoint(disc_clip, run, tiny, model, monitor):
    drawing = disc_clip(masks=(1, 8))
    ran = run("train.py", f"model={model}", f"clip={drawing.path}", *tiny(model))
    assert ran.code == 0, ran.err
    (folder,) = (drawing.path / "runs" / model).glob("2*")
    assert (folder / "metrics" / "metrics.csv").read_text().splitlines()[0].count(monitor) == 1
    assert (folder / ".hydra" / "config.yaml").exists()
    assert (folder / "train.log").read_text()
    (pointer,) = (drawing.path / "runs" / model).glob("best*.json")
    best = json.loads(pointer.read_text())
    assert best["monitor"] == monitor
    assert (pointer.parent / best["checkpoint"]).exists()
    assert "Traceback" not in ran.err


@pytest.mark.slow
def test_a_network_is_given_another_masker_by_either_program(disc_clip, run, tiny):
    drawing = disc_clip(masks=(1, 4, 8), keyframes=())
    given = (f"clip={drawing.path}", "+masker@model.cnn.extra_inputs.flow=flow")
    ran = run("train.py", "model=cnn", *given, *tiny("cnn"))
    assert ran.code == 0, ran.err
    fits = {path.parent for path in (drawing.path / "predictions" / "subject" / "flow").rglob("*.png")}
    assert len(fits) == 6, "each mask and each pair of them left out"
    ran = run("dreaming", *given, *tiny(), "stages=[mask]", "masker=cnn")
    assert ran.code == 0, ran.err
    assert len(list(drawing.path.glob("runs/cnn/*/result.json"))) == 1, "what was trained is used"
    assert drawing.clip.masks("subject", "cnn").stems == drawing.stems


@pytest.mark.slow
def test_no_mask_is_held_out_where_the_protocol_says_so(disc_clip, run, refused_untouched, tiny):
    drawing = disc_clip(count=12, masks=tuple(range(1, 13)), keyframes=())
    arguments = ("model=cnn", f"clip={drawing.path}", *tiny("cnn"))
    words = ("stage.mask.validation", "'fold'", "auto or split or folds")
    refused_untouched("train.py", *arguments, "stage.mask.validation=fold", words=words)
    few = ("stage.mask.validation=folds", "model.cnn.folds=2")
    for validation in ("split", "folds"):
        ran = run("train.py", *arguments, *(few if validation == "folds" else []))
        assert ran.code == 0, ran.err
        best = json.loads((drawing.path / "runs" / "cnn" / "best.json").read_text())
        assert best["validation"] == validation
        assert len(drawing.clip.split("subject").nn) < 12, "twelve are enough to hold some out"


@pytest.mark.slow
def test_last_goes_on_with_a_training_that_was_cut_off_and_refuses_another_config(disc_clip, run, refused, tiny):
    drawing = disc_clip(masks=(1, 8))
    arguments = ["model=cnn", f"clip={drawing.path}", *tiny("cnn")]
    assert run("train.py", *arguments).code == 0
    (folder,) = (drawing.path / "runs" / "cnn").glob("2*")
    kept = (folder / "fold-1" / "fit.json").stat().st_mtime_ns
    for name in ("result.json", "fit.json"):
        (folder / name).unlink()
    refused(
        "train.py", *arguments, "ckpt_path=last", "model.cnn.module.network.kernel_size=5", words=(folder.name, "task")
    )
    assert not (folder / "result.json").exists()
    assert run("train.py", *arguments, "ckpt_path=last").code == 0
    assert (folder / "result.json").exists()
    assert (folder / "fold-1" / "fit.json").stat().st_mtime_ns == kept
    assert len(list((drawing.path / "runs" / "cnn").glob("2*"))) == 1
    refused("train.py", *arguments, "ckpt_path=last", words="ckpt_path")


@pytest.mark.slow
def test_last_goes_on_with_a_job_of_a_multirun_and_takes_no_several(disc_clip, run, refused_untouched, tiny):
    drawing = disc_clip(masks=(1, 8))
    arguments = ["model=cnn", f"clip={drawing.path}", *tiny("cnn")]
    assert run("train.py", "-m", *arguments, "seed=0,1").code == 0
    (folder,) = (drawing.path / "runs" / "cnn").glob("2*")
    for name in ("result.json", "fit.json"):
        (folder / "1" / name).unlink()
    refused_untouched("train.py", "-m", *arguments, "seed=0,1", "ckpt_path=last", words="ckpt_path")
    ran = run("train.py", *arguments, "seed=1", "ckpt_path=last")
    assert ran.code == 0, ran.err
    assert (folder / "1" / "result.json").exists()
    assert len(list((drawing.path / "runs" / "cnn").glob("2*"))) == 1


def test_a_clip_with_nothing_to_learn_from_is_refused(disc_clip, refused, tiny):
    bare = disc_clip(masks=(), keyframes=()).path
    refused("train.py", f"clip={bare}", *tiny("unet"), words=(str(bare), "hand masks"))
    refused("train.py", f"clip={bare}", "model=style", *tiny("style"), words=(str(bare), "keyframes"))
    single = disc_clip("single", masks=(4,)).path
    refused("train.py", f"clip={single}", *tiny("unet"), words=("1 hand mask", "at least 2"))
    assert not list(single.glob("runs/unet/best*.json"))


@pytest.mark.slow
def test_a_style_inside_a_layer_s_mask_needs_a_mask_of_every_keyframe(disc_clip, run, refused, tiny):
    drawing = disc_clip(masks=(1, 8))
    arguments = ["model=style", f"clip={drawing.path}", *tiny("style"), "model.style.roi.margin=3"]
    refused("train.py", *arguments, words=("keyframe 0004", "no mask of subject", "hand mask"))
    refused("train.py", *arguments, "data.keyframes.patch=8", words=("data.keyframes.patch", "11 pixels or more"))
    drawing.save("masks/drawn/0004.png", drawing.truth["0004"])
    ran = run(
        "train.py", *arguments, *(f"model.style.roi.opacity.{key}" for key in ("masks.masker=drawn", "matte=none"))
    )
    assert ran.code == 0, ran.err
    assert list(drawing.path.glob("runs/style/best*.json"))


@pytest.mark.slow
def test_a_run_is_resumed_by_best_json_or_by_a_checkpoint_file(disc_clip, run, refused_untouched, tiny):
    drawing = disc_clip(masks=(1, 8))
    arguments = ["model=cnn", f"clip={drawing.path}", *tiny("cnn")]
    assert run("train.py", *arguments).code == 0
    runs = drawing.path / "runs" / "cnn"
    best = json.loads((runs / "best.json").read_text())
    for choice in ("best", runs / best["checkpoint"]):
        assert run("train.py", *arguments, f"ckpt_path={choice}").code == 0
        assert len(list(runs.glob("2*"))) == 1, "it is finished already"
    for choice in ("nowhere.ckpt", drawing.path / "frames" / "0001.png"):
        refused_untouched("train.py", *arguments, f"ckpt_path={choice}", words="ckpt_path: ")
