"""Files of a clip from elsewhere execute no code."""

import contextlib
import io
import json
import pickle

import pytest
import torch
import yaml

from dreaming.cli.check import check
from dreaming.cli.config import register_resolvers
from dreaming.errors import DreamingError
from dreaming.training.checkpoints import LAST, load, recover


class Payload:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def hostile_files(owned):
    """Contents that would make the file ``owned`` if they were executed, for each kind of file of a clip."""
    tag = f"!!python/object/apply:builtins.open ['{owned}', 'w']"
    node = f"{{_target_: builtins.open, file: '{owned}', mode: w}}"
    data = io.BytesIO()
    torch.save({"state_dict": Payload(owned), "global_step": 1}, data)
    lightning = "_target_:lightning_fabric.utilities.cloud_io._load,path_or_url:'${clip}/x.pt',weights_only:false"
    best = {"sweep": "s", "component": "threshold", "trial": 1, "value": 1.0, "command": "x"}
    return {
        "x.pt": data.getvalue(),
        "clip.yaml": f"gamma: {tag}\n",
        "sweeps/s/best.yaml": yaml.safe_dump(
            {**best, "overrides": [f"masker.threshold.workers={{_target_:{lightning}}}"]}
        ),
        "runs/dream/2026/.hydra/config.yaml": f"masker: {{threshold: {node}}}\n",
        "runs/dream/2026/.hydra/overrides.yaml": "- trusted_packages=[builtins]\n",
        "runs/unet/2026/checkpoints/last.ckpt": data.getvalue(),
        "runs/unet/2026/checkpoints/best.ckpt": data.getvalue(),
        "runs/unet/best.json": json.dumps({"_target_": "builtins.open", "file": owned, "mode": "w"}),
        "masks/threshold/manifest.json": json.dumps({"maker": tag, "config": {"_target_": "builtins.open"}}),
        "split.json": tag,
        "source.json": json.dumps({"_target_": "builtins.open", "path": owned}),
        "evaluation.json": "${oc.env:HOME}",
        "bounds.json": pickle.dumps(Payload(owned)),
        "manifest.json": pickle.dumps(Payload(owned)),
        "hydra_plugins/evil/__init__.py": f"open({owned!r}, 'w')\n",
        "conf/masker/threshold.yaml": f"threshold: {node}\n",
        "sitecustomize.py": f"open({owned!r}, 'w')\n",
        "wandb/settings": f"[default]\nbase_url = {owned}\n",
        "<script>.html": f"<script>{owned}</script>",
    }


def write(clip, name, content):
    path = clip / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


REFUSED_FILES = ("clip.yaml", "sweeps/s/best.yaml")


def test_a_clip_from_elsewhere_executes_nothing(disc_clip, run, tmp_path, monkeypatch):
    clip, owned = disc_clip(count=3, masks=(1, 3), keyframes=()).path, tmp_path / "owned"
    for name, content in hostile_files(str(owned)).items():
        if name not in REFUSED_FILES:
            write(clip, name, content)
    monkeypatch.chdir(clip)
    ran = run("dreaming", "clip=.", "masker=threshold", "stages=[mask,report]")
    assert ran.code == 0, ran.err
    assert not owned.exists()


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_a_file_that_names_code_is_refused(disc_clip, tmp_path, name):
    clip, owned = disc_clip(count=3, masks=(1, 3), keyframes=()).path, tmp_path / "owned"
    files = hostile_files(str(owned))
    write(clip, "x.pt", files["x.pt"])
    write(clip, name, files[name])
    register_resolvers()
    with pytest.raises(DreamingError) as refused:
        check("dream", [f"clip={clip}", "masker=threshold"])
    assert refused.value.where == str(clip / name)
    assert not owned.exists()


@pytest.mark.parametrize(
    "call",
    [lambda folder: recover(folder, torch.nn.Linear(1, 1)), lambda folder: load(torch.nn.Linear(1, 1), folder / LAST)],
)
def test_a_pickle_in_place_of_a_checkpoint_is_not_executed(tmp_path, call):
    owned = tmp_path / "owned"
    write(tmp_path, LAST, hostile_files(str(owned))["x.pt"])
    with contextlib.suppress(DreamingError, pickle.UnpicklingError):
        call(tmp_path)
    assert not owned.exists()


def test_a_run_folder_is_not_rerun(disc_clip, refused_untouched):
    clip = disc_clip(count=3, masks=(1, 3)).path
    flag = f"--experimental-rerun={clip / 'runs'}"
    refused_untouched("dreaming", f"clip={clip}", flag, words="--experimental-rerun")
