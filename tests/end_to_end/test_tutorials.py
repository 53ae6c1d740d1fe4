"""The commands of both tutorials, run in order on a tiny drawn clip: those in blocks of the language ``bash``."""

import os
import re
import shlex
import sys
from pathlib import Path

import cv2
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from tiny import overrides

from dreaming.cli import dream, train
from dreaming.video.writer import write_video

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
FILE = re.compile(r"^`(my_\w+/[\w/]+\.\w+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SMALL = [
    *overrides(max_steps=2, validate_every=1),
    *(f"model.{name}.folds=2" for name in ("unet", "cnn", "ensemble")),
    "model.ensemble.maskers.pixels=null",
    "model.ensemble.variant=gated",
    "model.ensemble.variants.gated.max_steps=2",
    "model.ensemble.limits.max_steps=2",
    "model.ensemble.data.crop=16",
    "stage.draw.scene.frames=8",
    "stage.draw.scene.height=36",
    "stage.draw.scene.width=64",
    "stage.draw.scene.samples=1",
    "stage.draw.masks=3",
    "stage.suggest.count=2",
]
"""Appended to the commands, those of the models only where ``train.py`` trains them."""

pytestmark = pytest.mark.slow


def commands(page):
    blocks = re.findall(r"^```bash\n(.*?)^```$", (TUTORIALS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def small(program, words):
    if program == "dreaming":
        alone = not any(word.startswith(("masker=", "sweep=", "stages=")) for word in words)
        few_trees = ["masker.pixels.boosting.max_iter=4"] * ("masker=pixels" in words)
        return [*SMALL, *few_trees, *["masker=[flow,unet,ensemble]"] * alone]  # pixels would be cross-validated
    (model,) = (word.partition("=")[2] for word in words if word.startswith("model="))
    its_own = [text for text in SMALL if text.startswith(f"model.{model}.")]
    if "my_package" in str(words):
        its_own = [text for text in its_own if ".network." not in text]
    return [*(text for text in SMALL if not text.startswith(("model.", "stage.", "generator."))), *its_own]


@pytest.fixture
def follow(tmp_path, monkeypatch, unchanged_logging, capsys):
    """Run a tutorial's commands in an empty folder, in this process; ``prepare`` is called before each of them."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(page, prepare=lambda: None):
        for words in commands(page):
            prepare()
            program = "train.py" if words[:2] == ["python", "train.py"] else words[0]
            given = words[2:] if program == "train.py" else words[1:]
            monkeypatch.setattr(sys, "argv", [program, *given, *small(program, words)])
            GlobalHydra.instance().clear()
            with unchanged_logging(), pytest.raises(SystemExit) as ended:
                {"dreaming": dream.main, "train.py": train.main}[program]()
            assert ended.value.code == 0, (words, capsys.readouterr().err)

    yield run
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)
    GlobalHydra.instance().clear()
    os.environ.pop("HYDRA_FULL_ERROR", None)


def test_the_tutorial_for_artists(follow, disc_clip, tmp_path):
    drawing = disc_clip("drawing", count=8, masks=(), keyframes=())
    write_video(tmp_path / "dancer.mp4", iter(drawing.images.values()), fps=8)
    clip = tmp_path / "clips" / "dancer"

    def paint():
        for number in (1, 3, 5, 6, 8) if (clip / "suggestions.png").exists() else ():
            drawing.path = clip
            drawing.save(f"hand_masks/{number:04d}.png", drawing.truth[f"{number:04d}"])
        if (clip / "report.html").exists():
            drawing.save("keyframes/painted/0004.png", drawing.styled["0004"])

    follow("artists.md", paint)
    assert len(list(clip.glob("masks/ensemble/*.png"))) == len(drawing.stems)
    for name in ("suggestions.png", "report.html", "preview.mp4", "dream.mp4"):
        assert (clip / name).stat().st_size > 0, name
    assert len(list(clip.glob("export/png/**/*.png"))) == len(drawing.stems)


def test_the_tutorial_for_engineers(follow, tmp_path):
    for name, text in FILE.findall((TUTORIALS / "engineers.md").read_text()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    follow("engineers.md")
    clip = tmp_path / "clips" / "drawn"
    for name in ("runs/unet/best.json", "evaluation.json", "sweeps/threshold/best.yaml"):
        assert (clip / name).exists(), name
    (own,) = (path for path in clip.glob("runs/cnn/2*/.hydra/config.yaml") if "my_package.Network" in path.read_text())
    assert (own.parents[1] / "result.json").exists()
    assert len(list(clip.glob("runs/unet/*/metrics/metrics.csv"))) == 1
