"""Common first mistakes are refused with the section of ``docs/errors.md`` that helps."""

import numpy as np
import pytest

from dreaming.cli.stages import run_stages
from dreaming.errors import DreamingError

EMPTY = np.zeros((32, 48), bool)

CHEAP = {
    "a clip as a path alone": (["{clip}"], "not-keyvalue"),
    "a space after the equals sign": (["clip=", "{clip}"], "not-keyvalue"),
    "a bracket that is not closed": (["clip={clip}", "stages=[mask"], "not-keyvalue"),
    "a misspelt masker": (["clip={clip}", "masker=grabct"], "unknown-choice"),
    "two maskers without brackets": (["clip={clip}", "masker=unet,cnn"], "several-values-in-a-single-run"),
    "a tab in clip.yaml": (["clip={clip}/tab"], "an-invalid-clipyaml"),
    "no clip": ([], "no-clip"),
    "a misspelt video": (["clip={clip}", "video={clip}/dancer.mp4"], "no-video"),
}
COSTLY = {
    "the video as the clip": (["clip={clip}/frames/0001.png"], "no-clip"),
    "a misspelt clip": (["clip={clip}x"], "no-clip"),
    "a folder without frames": (["clip={clip}/hand_masks"], "no-frames"),
    "no video": (["clip={clip}/new", "video={clip}/tab/clip.yaml", "stages=[extract]"], "damaged-video"),
    "a misspelt key": (["clip={clip}", "stage.composite.feathre=1"], "unknown-key"),
    "a key of a masker that is not chosen": (["clip={clip}", "masker.grabcut.inner=1"], "unknown-key"),
    "a word in place of a number": (["clip={clip}", "model.unet.limits.max_steps=many"], "invalid-value"),
    "a number out of range": (["clip={clip}", "threads=0"], "invalid-value"),
    "a misspelt stage": (["clip={clip}", "stages=[msk]"], "no-such-stage"),
    "a sweep without -m": (["clip={clip}", "sweep=threshold"], "a-sweep-in-a-single-run"),
    "a GPU that is not there": (["clip={clip}", "trainer=gpu"], "no-such-device"),
    "a class of one's own": (["clip={clip}", "+callbacks.own._target_=my.Own"], "a-class-that-is-not-trusted"),
}
"""Arguments and section; most of those in ``CHEAP`` are refused before a config is composed."""


def delete(drawing, pattern):
    for path in drawing.path.glob(pattern):
        path.unlink()


def rename(drawing, old, new):
    (drawing.path / old).rename(drawing.path / new)


def paint_all(drawing, mask):
    for path in drawing.path.glob("hand_masks/*.png"):
        drawing.save(f"hand_masks/{path.name}", mask)


def cut_off(drawing, place):
    path = drawing.path / place
    path.write_bytes(path.read_bytes()[:-40])


MASKS = {
    "one mask for a network": (lambda d: delete(d, "hand_masks/000[48].png"), "too-few-hand-masks"),
    "masks of an empty layer": (lambda d: paint_all(d, EMPTY), "black-masks"),
    "masks of a full layer": (lambda d: paint_all(d, ~EMPTY), "white-masks"),
    "a copy of a mask": (lambda d: d.save("hand_masks/0004 copy.png", d.truth["0004"]), "a-mask-without-its-frame"),
    "masks among the results": (lambda d: rename(d, "hand_masks", "masks"), "masks-among-the-results"),
    "two layouts": (lambda d: d.save("parts/arm/hand_masks/0004.png", d.truth["0004"]), "two-layouts-of-masks"),
    "a cropped mask": (lambda d: d.save("hand_masks/0004.png", EMPTY[:20]), "wrong-size"),
    "a photo of a phone": (
        lambda d: (d.path / "frames" / "0009.heic").write_bytes(b"heic"),
        "a-picture-that-is-not-read",
    ),
    "a mask that is cut off": (lambda d: cut_off(d, "hand_masks/0001.png"), "a-damaged-picture"),
    "a frame twice": (lambda d: d.save("frames/0001.jpg", d.images["0001"]), "two-pictures-of-one-name"),
}
KEYFRAMES = {
    "a keyframe without layer": (
        lambda d: rename(d, "keyframes/painted/0004.png", "keyframes/0004.png"),
        "keyframes-outside-a-layer",
    ),
    "a misnumbered keyframe": (
        lambda d: rename(d, "keyframes/painted/0004.png", "keyframes/painted/0040.png"),
        "a-keyframe-without-its-frame",
    ),
    "a hidden layer": (
        lambda d: d.save("keyframes/painted/0004.png", np.zeros((32, 48, 4), np.uint8)),
        "a-transparent-keyframe",
    ),
    "two layers": (lambda d: d.save("keyframes/other/0004.png", d.styled["0004"]), "layers-that-are-not-listed"),
}


def arguments(texts, drawing):
    (drawing.path / "tab").mkdir()
    (drawing.path / "tab" / "clip.yaml").write_text("layers:\n\t- name: dancer\n")
    return [text.format(clip=drawing.path) for text in texts]


@pytest.mark.parametrize(
    ("texts", "topic"),
    [
        *(pytest.param(*case, id=name) for name, case in CHEAP.items()),
        *(pytest.param(*case, id=name, marks=pytest.mark.slow) for name, case in COSTLY.items()),
    ],
)
def test_an_argument_is_refused_with_the_section_that_helps(disc_clip, refused, texts, topic):
    assert f"errors.md#{topic})" in refused("dreaming", *arguments(texts, disc_clip()))


@pytest.mark.slow
def test_an_input_is_refused_with_the_section_that_helps(disc_clip, in_job, tiny):
    def look(config):
        found = {}
        for stages, mistakes in ((["mask"], MASKS), (["stylise"], KEYFRAMES)):
            for name, (make, _) in mistakes.items():
                drawing = disc_clip(name)
                make(drawing)
                config.clip, config.stages = str(drawing.path), stages
                with pytest.raises(DreamingError) as error:
                    run_stages(config)
                found[name] = error.value.topic
        assert found == {name: topic for mistakes in (MASKS, KEYFRAMES) for name, (_, topic) in mistakes.items()}

    in_job(look, *tiny())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("masks", "texts", "topic"), [((), (), "no-hand-masks"), ((1, 4, 8), ("ckpt_path=last",), "nothing-to-resume")]
)
def test_a_training_is_refused_with_the_section_that_helps(disc_clip, refused, masks, texts, topic):
    sentence = refused("train.py", f"clip={disc_clip(masks=masks).path}", "model=unet", *texts)
    assert f"errors.md#{topic})" in sentence
