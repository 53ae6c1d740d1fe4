"""What can be told to be wrong before anything is made on disk."""

import pytest
import torch
from omegaconf import OmegaConf

from dreaming.cli.check import check_config
from dreaming.cli.config import parse
from dreaming.errors import ConfigError
from dreaming.training import loggers

SPARSE = {"count": 3, "masks": (1, 3), "keyframes": (2,)}

WRONG = [
    ("nosuch=1", "nosuch"),
    ("stage.composite.feathre=1", "stage.composite.feather"),
    ("+nosuch=1", "+nosuch"),
    ("+stage.composite.nosuch=1", "stage.composite.nosuch"),
    ("++nosuch=1", "++nosuch"),
    ("++stage.composite.nosuch=1", "stage.composite.nosuch"),
    ("~nosuch", "nosuch"),
    ("hydra.nosuch=1", "hydra.nosuch"),
    ("masker=grabct", ("masker=grabct", "one of ", "use masker=grabcut")),
    ("+masker=grabct", "masker=grabct"),
    ("+masker@model.unet.extra_inputs.pixel=pixel", "use masker=pixels"),
    ("+masker@model.unet.extra_inputs.unet=unet", "config: found a circular reference"),
    ("+masker@model.unet.extra_inputs.ensemble=ensemble", "config: found a circular reference"),
    ("masker=[]", "masker"),
    ("masker=null", "masker: found null"),
    ("masker=3", "masker: found 3"),
    ("model=null", "model: found null"),
    ("logger=null", "logger: found null"),
    ("logger=[csv,tensorbord]", ("csv, tensorboard, wandb", "logger=tensorboard")),
    ("seed=1,2,3", "add -m"),
    ("video=", "video: found an empty value"),
    ("=3", "=3: found no key"),
    ("--resolve", "--resolve: found no --cfg"),
    ("--shell-completion", "command line: found Expecting one subcommand"),
    ("+masker.unet._partial_=true", "+masker.unet._partial_=true"),
    ("hydra=null", "hydra: found null, expected its keys"),
    ("import=/dev/null", "import: found no /dev/null"),
    ("hydra.run.dir=", "hydra.run.dir: found the working folder"),
    ("hydra.job.chdir=true", "hydra.job.chdir: found true"),
    ("end=20", ("stage.extract.end", "stage.preview.end")),
    ("max_time=60", "model.unet.limits.max_time"),
    ("epochs=3", "model.unet.limits.max_steps"),
    ("clips/dancer", "use clip=clips/dancer"),
    ("stage.extract.gamma=a b[", """'stage.extract.gamma='"'"'a b['"'"''"""),
    ("model=unett", ("model=unett", "model=unet")),
    ("experiments=dmeo", ("experiments=dmeo", "experiments=demo")),
    ("trainer=x", ("trainer=x", "cpu")),
    ("logger=x", ("logger=x", "csv")),
    ("masker=unet,cnn", ("masker=unet,cnn", "-m")),
    ("stages=[msk]", ("'msk'", "stages=[mask]")),
    ("stage=extract", ("stages", "'mask'")),
    ("shard=3/2", ("shard", "3/2")),
    ("stage.composite.masker=gmm", ("stage.composite.masker", "pixels")),
    ("stage.evaluate.truth=nowhere", ("stage.evaluate.truth", "no folder nowhere")),
    ("clip", "clip"),
    ("model=[unet", "model=[unet"),
    ("video=nowhere.mp4", ("video", "nowhere.mp4")),
    ("import=nowhere.json", ("import", "nowhere.json")),
    ("model.unet.limits.max_steps=abc", ("model.unet.limits.max_steps", "'abc'", "a whole number")),
    ("threads=0", "threads"),
]
"""What the composition refuses, and one of each kind of what is refused later."""

WRONG_VALUES = [
    ("stages=null", "stages: found null"),
    ("guides=null", "guides: found null"),
    ("stages=[extract,1]", "stages"),
    ("+stage.report._args_=[1]", "stage.report._args_: found an unknown key"),
    ("stages=[]", "stages: found no stage"),
    ("shard=half", ("shard", "half")),
    ("shard='" + 5000 * "9" + "/" + 5000 * "9" + "'", "shard: found"),
    ("stage.evaluate.masker=gmm", ("stage.evaluate.masker", "pixels")),
    ("stage.evaluate.styled_truth=nowhere", ("stage.evaluate.styled_truth", "no folder nowhere")),
    ("model.unet.limits.max_steps=1.5", "model.unet.limits.max_steps"),
    ("model.unet.limits.max_steps=null", ("model.unet.limits.max_steps", "null")),
    ("model.unet.module.network.depth=four", "model.unet.module.network.depth"),
    ("model.unet.module.network.padding=zeros", ("model.unet.module.network.padding", "zero or")),
    ("model.unet.features.prior=flow", ("model.unet.features.prior: found flow", "near_mask, far_mask, blend")),
    ("+model.cnn.features.channels=[blend,blub]", ("model.cnn.features.channels: found blub", "near_mask")),
    ("data.features.error_scale=0", "data.features.error_scale"),
    ("data.flow.preset=fastest", "data.flow.preset"),
    ("model.unet=null", "model.unet"),
    ("stage.composite=3", "stage.composite"),
    ("stage.composite.feather=soft", ("stage.composite.feather", "'soft'", "a number")),
    ("stage.composite.fps=0", "stage.composite.fps"),
    ("stage.composite.fps=1e-6", "stage.composite.fps"),
    ("stage.preview.fps=0", "stage.preview.fps"),
    ("stage.report.rows=-1", "stage.report.rows"),
    ("stage.report.embed=-1", "stage.report.embed"),
    ("stage.composite.alpha=maybe", ("stage.composite.alpha", "true or false")),
    ("stage.composite.crf=[1]", "stage.composite.crf"),
    ("stage.extract.gamma=dark", "stage.extract.gamma"),
    ("stage.extract.size=12", ("stage.extract.size", "a list")),
    ("stage.extract.size=[1,b]", "stage.extract.size"),
    ("stage.draw.scene.frames=0", "frames"),
    ("threads=many", ("threads", "'many'")),
    ("threads=1000000000", "threads: found 1000000000"),
    ("seed=4294967296", ("seed: found 4294967296", "at most 4294967295")),
    ("stage.extract.size=[100000,100000]", "stage.extract.size[0]: found 100000"),
    ("generator.lr=1e12", "generator.lr: found"),
    ("seed=x", "seed"),
    ("seed=-1", "seed"),
    ("model.unet.module.optimizer.weight_decay=-1", "model.unet.module.optimizer.weight_decay: found -1"),
    ("model.unet.module.optimizer._target_=os.system", ("model.unet.module.optimizer", "os.system")),
    ("model.unet.module.optimizer._target_=torch.optim.Adm", "torch.optim.Adm"),
]


ANOTHER_OF_A_KIND = {
    "+nosuch=1", "++nosuch=1", "~nosuch", "++stage.composite.nosuch=1", "+masker=grabct", "masker=3", "model=null",
    "+masker@model.unet.extra_inputs.ensemble=ensemble", "logger=null", "max_time=60", "epochs=3", "experiments=dmeo",
    "video=", "hydra=null", "=3", "--resolve", "+masker.unet._partial_=true", "trainer=x", "logger=x",
    "stage.evaluate.truth=nowhere", "video=nowhere.mp4", "threads=0", "model=[unet",
}  # fmt: skip
"""Those whose kind another one stands for in the fast tests."""


@pytest.mark.parametrize(
    ("text", "words"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case[0] in ANOTHER_OF_A_KIND)) for case in WRONG],
    ids=[text for text, _ in WRONG],
)
def test_what_is_wrong_in_the_config_is_named_and_nothing_is_made(disc_clip, refused_untouched, text, words):
    refused_untouched("dreaming", f"clip={disc_clip(**SPARSE).path}", text, words=words)


def refusal(program, config, *texts):
    """What a composed config with more values is refused with."""
    for override in parse(texts):
        OmegaConf.update(config, str(override.key_or_group), override.value(), force_add=override.is_add())
    with pytest.raises(ConfigError) as error:
        check_config(program, config)
    return str(error.value)


@pytest.mark.parametrize(("text", "words"), WRONG_VALUES, ids=[text[:60] for text, _ in WRONG_VALUES])
def test_a_value_that_is_wrong_is_named(disc_clip, composed, text, words):
    sentence = refusal("dream", composed("dream", disc_clip(**SPARSE).path), text)
    for word in [words] if isinstance(words, str) else words:
        assert word in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("generator.lr=-1", "lr"),
        ("+generator.network.dilations=[1,0]", "generator.network.dilations[1]: found 0"),
        ("model.style.module.optimizer.betas=[2.0,0.9]", "Invalid beta"),
    ],
)
def test_what_networks_refuse_is_told_before_a_run_has_a_folder(disc_clip, refused_untouched, text, words):
    refused_untouched("train.py", f"clip={disc_clip(**SPARSE).path}", "model=style", text, words=words)


@pytest.mark.parametrize(
    ("kind", "key"), [("gauss", "sigma"), ("edges", "sigma"), ("canvas", "radius"), ("propagated", "hardness")]
)
def test_a_second_guide_of_a_kind_is_named_by_its_own_key(disc_clip, refused_untouched, kind, key):
    given = f"+guide@guide.other={kind}", f"guide.other.{key}=-1"
    refused_untouched("dreaming", f"clip={disc_clip(**SPARSE).path}", *given, words=f"guide.other.{key}: found -1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model=unett", "model=unet"),
        ("model=[unet,cnn]", ("model", "-m")),
        ("model=[]", "model"),
        ("model=null", "model: found null"),
        ("end=20", "end: found no such config key, expected a key that"),
        ("epochs=3", "a key such as model.unet.limits.max_steps"),
        ("model.unet.module.lr=fast", "model.unet.module.lr"),
        ("model.cnn.module.lr=1", "model.cnn.module.lr"),
        ("stages=[mask]", "stages"),
        ("ckpt_path=last", "ckpt_path"),
        ("ckpt_path=best", "ckpt_path"),
        ("trainer.devices=[a]", "trainer.devices"),
        ("trainer.devices=-1", ("trainer", "int > 0")),
        ("logger.wandb.project=7", "logger.wandb.project"),
    ],
)
def test_what_is_wrong_for_a_training_is_named_and_nothing_is_made(disc_clip, refused_untouched, text, words):
    texts = [text] if not text.startswith("trainer.") else ["trainer=cpu", text]
    refused_untouched("train.py", f"clip={disc_clip(**SPARSE).path}", *texts, words=words)


@pytest.mark.slow
def test_every_value_of_a_sweep_is_looked_at_before_the_first_job(disc_clip, refused_untouched):
    clip = f"clip={disc_clip(**SPARSE).path}"
    refused_untouched("dreaming", "-m", clip, "masker=unet,cnnn", words="masker=cnnn")
    refused_untouched("dreaming", "-m", clip, "stage.composite.feather=1,soft", words="'soft'")
    refused_untouched("dreaming", "-m", clip, "nosuch=1,2", words="nosuch")
    refused_untouched("dreaming", "-m", f"clip={disc_clip(**SPARSE, name='other').path},nowhere", words="nowhere")


def test_a_sweep_of_another_model_and_of_several_clips_is_refused(disc_clip, refused_untouched):
    clip = f"clip={disc_clip(**SPARSE).path}"
    words = ("sweep=unet: found model=cnn", "model=unet")
    refused_untouched("train.py", "-m", clip, "model=cnn", "sweep=unet", words=words)
    refused_untouched("dreaming", "-m", clip, "masker=gmm", "sweep=pixels", words="sweep=pixels: found masker=gmm")
    other = disc_clip(**SPARSE, name="other").path
    refused_untouched("dreaming", "-m", f"{clip},{other}", "masker=gmm", "sweep=gmm", words="several clips")


def test_clip_yaml_is_looked_at_before_a_run_begins(disc_clip, refused_untouched):
    drawing = disc_clip(**SPARSE)
    (drawing.path / "clip.yaml").write_text("gama: 2\n")
    refused_untouched("dreaming", f"clip={drawing.path}", words=("clip.yaml", "gama"))
    (drawing.path / "clip.yaml").write_text("gamma: dark\n")
    refused_untouched("dreaming", f"clip={drawing.path}", words=("clip.yaml", "dark"))


def test_bounds_given_on_the_command_line_are_a_key_that_is_known(disc_clip, refused_untouched):
    bounds = "masker.threshold.bounds={hue:[240,20],value:[9,0]}"
    words = ("masker.threshold.bounds.value", "9 to 0")
    refused_untouched("dreaming", f"clip={disc_clip(**SPARSE).path}", "masker=threshold", bounds, words=words)


def test_a_mode_that_wandb_does_not_know_is_refused_where_it_is_asked(disc_clip, refused_untouched, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "on")
    clip = f"clip={disc_clip(count=2, masks=(1, 2)).path}"
    refused_untouched("train.py", clip, "logger=wandb", words=("WANDB_MODE", "found on", "online"))
    refused_untouched("train.py", clip, "logger=csv", "seed=-1", words="seed")


@pytest.mark.parametrize(
    ("program", "text"), [("train.py", "trainer=mps"), ("dreaming", "trainer=gpu"), ("dreaming", "+trainer.profiler=x")]
)
def test_what_this_machine_lacks_is_refused_before_a_run_has_a_folder(disc_clip, refused_untouched, program, text):
    if text == "trainer=gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    refused_untouched(program, f"clip={disc_clip(**SPARSE).path}", text, words="trainer: ")


def test_a_logger_whose_package_is_missing_is_refused_in_a_sentence(disc_clip, refused_untouched, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    clip = f"clip={disc_clip(count=2, masks=(1, 2)).path}"
    refused_untouched("train.py", clip, "logger=tensorboard", words=("logger: ", "pip install tensorboard"))
