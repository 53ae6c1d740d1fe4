"""Records of finished runs: the best one, the one that fits, the one that was cut off."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dreaming.errors import CheckpointError, ClipError
from dreaming.training import run_registry as runs
from dreaming.training.run_registry import Best


def finished(
    folder: Path, score: float, fingerprint: dict[str, object], subject: str = "subject", mode: str = "max"
) -> Best:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").write_bytes(f"{score}".encode())
    return Best(
        folder, "checkpoints/best.ckpt", score, "val/jaccard", mode, 100, "folds", subject, fingerprint, 12.5
    )  # fmt: skip


def fingerprint(task: str = "a", references: str = "r") -> dict[str, object]:
    return {"task": task, "references": references, "seed": 0}


def test_the_better_run_on_the_same_references_becomes_the_best(tmp_path):
    runs.record(finished(tmp_path / "1", 0.7, fingerprint("a")), tmp_path)
    runs.record(finished(tmp_path / "2", 0.6, fingerprint("b")), tmp_path)
    best = runs.read_best(tmp_path / "best.json")
    assert best is not None
    assert (best.score, best.weights) == (0.7, tmp_path / "1" / "checkpoints" / "best.ckpt")
    runs.record(finished(tmp_path / "3", 0.8, fingerprint("b")), tmp_path)
    assert json.loads((tmp_path / "best.json").read_text())["checkpoint"] == "3/checkpoints/best.ckpt"


def test_scores_on_other_references_are_not_compared(tmp_path):
    runs.record(finished(tmp_path / "1", 0.9, fingerprint(references="two masks")), tmp_path)
    runs.record(finished(tmp_path / "2", 0.5, fingerprint(references="five masks")), tmp_path)
    best = runs.read_best(tmp_path / "best.json")
    assert best is not None
    assert best.score == 0.5


def test_less_is_better_where_the_mode_says_so(tmp_path):
    low = finished(tmp_path / "1", 0.1, fingerprint(), mode="min")
    assert low.better_than(replace(low, score=0.2))
    assert not low.better_than(replace(low, score=0.05))


def test_parts_have_a_best_of_their_own(tmp_path):
    runs.record(finished(tmp_path / "1", 0.9, fingerprint(), subject="head"), tmp_path)
    assert (tmp_path / "best-head.json").exists()
    assert not (tmp_path / "best.json").exists()


def test_only_a_run_of_exactly_this_identity_is_found(tmp_path):
    for name, score, task in (("1", 0.6, "a"), ("2", 0.8, "a"), ("3", 0.9, "b")):
        runs.record(finished(tmp_path / name, score, fingerprint(task)), tmp_path)
    found = runs.find(tmp_path, fingerprint("a"))
    assert found is not None
    assert found.folder.name == "2"
    assert runs.find(tmp_path, fingerprint("a", "other")) is None


def test_a_run_whose_weights_are_gone_is_not_found(tmp_path):
    best = finished(tmp_path / "1", 0.6, fingerprint())
    runs.record(best, tmp_path)
    best.weights.unlink()
    assert runs.find(tmp_path, fingerprint()) is None
    assert runs.read_best(tmp_path / "best.json") is None


def test_a_run_that_was_cut_off_is_found_and_its_folds_are_not_taken_for_it(tmp_path):
    runs.begin(tmp_path / "1", fingerprint())
    runs.begin(tmp_path / "1" / "fold-1", {**fingerprint(), "learn": ["0001"]})
    assert runs.unfinished(tmp_path, fingerprint()) == tmp_path / "1"
    assert runs.latest(tmp_path) == tmp_path / "1"
    runs.record(finished(tmp_path / "1", 0.6, fingerprint()), tmp_path)
    assert runs.unfinished(tmp_path, fingerprint()) is None
    assert runs.latest(tmp_path) is None


def test_the_latest_of_several_parts_is_their_run(tmp_path):
    runs.begin(tmp_path / "2026" / "1", fingerprint())
    runs.record(finished(tmp_path / "2026" / "1", 0.6, fingerprint()), tmp_path)
    assert runs.latest(tmp_path) is None
    runs.begin(tmp_path / "2026" / "2" / "fold-1", fingerprint())
    assert runs.latest(tmp_path) == tmp_path / "2026", "parts may be named by numbers, too"


def test_the_latest_of_a_multirun_is_one_of_its_jobs(tmp_path):
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "multirun.yaml").touch()
    for job in ("9/head", "10/head", "11/head"):
        runs.begin(tmp_path / "2026" / job, fingerprint())
        runs.begin(tmp_path / "2026" / job / "fold-1", fingerprint())
    runs.record(finished(tmp_path / "2026" / "11" / "head", 0.6, fingerprint()), tmp_path)
    assert runs.latest(tmp_path) == tmp_path / "2026" / "10"
    runs.begin(tmp_path / "2027", fingerprint())
    assert runs.latest(tmp_path) == tmp_path / "2027"


def test_a_folder_is_begun_once_for_one_identity(tmp_path):
    runs.begin(tmp_path, fingerprint("a"))
    runs.begin(tmp_path, fingerprint("a"))
    with pytest.raises(CheckpointError, match="different: task"):
        runs.begin(tmp_path, fingerprint("b"))


def test_a_trial_of_a_sweep_is_nobody_elses_to_go_on_with(tmp_path):
    runs.begin(tmp_path / "2026" / "3", fingerprint())
    assert runs.unfinished(tmp_path, fingerprint()) == tmp_path / "2026" / "3"
    (tmp_path / "2026" / "3" / runs.TRIAL).write_text("{}")
    assert runs.unfinished(tmp_path, fingerprint()) is None
    assert runs.latest(tmp_path) is None
    runs.begin(tmp_path / "2026" / "3" / "fold-1", fingerprint())
    assert runs.latest(tmp_path) is None
    assert runs.is_trial(tmp_path / "2026" / "3" / "fold-1", tmp_path)
    assert not runs.is_trial(tmp_path / "2026", tmp_path)


@pytest.mark.parametrize("change", [{"schema": 2}, {"more": 1}, {"steps": None}])
def test_a_record_of_another_version_is_not_used_and_not_lost(tmp_path, change):
    paths = [tmp_path / "1" / "result.json", tmp_path / "best.json"]
    runs.record(finished(tmp_path / "1", 0.5, fingerprint()), tmp_path)
    for path in paths:
        data = {**json.loads(path.read_text()), **change}
        path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    before = paths[1].read_bytes()
    assert runs.read_best(paths[1]) is None
    runs.record(finished(tmp_path / "2", 0.1, fingerprint()), tmp_path)
    best = runs.read_best(paths[1])
    assert best is not None
    assert best.score == 0.1
    assert (tmp_path / "best.json.kept-1").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}'])
def test_a_run_folder_whose_fingerprint_cannot_be_read_is_left_alone(tmp_path, text):
    path = tmp_path / "fingerprint.json"
    path.write_text(text)
    with pytest.raises(CheckpointError):
        runs.begin(tmp_path, {"task": 1})
    assert path.read_text() == text
    assert runs.unfinished(tmp_path.parent, {"task": 1}) is None


@pytest.mark.parametrize(
    "linked",
    [
        "run",
        "run/metrics/hparams.yaml",
        "run/wandb/latest-run",
        "run/wandb/offline-run-1/files/config.yaml",
        "run/wandb/offline-run-1/logs/debug-core.log",
    ],
)
def test_a_run_folder_with_a_link_is_refused(tmp_path, linked):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / linked).symlink_to(theirs)
    with pytest.raises(ClipError) as refused:
        runs.begin(tmp_path / "run", {"task": 1})
    assert refused.value.where == str(tmp_path / linked)
    assert not list(theirs.iterdir())


def test_a_run_folder_with_the_links_of_wandb_is_resumed(tmp_path):
    runs.begin(tmp_path / "run", fingerprint())
    (tmp_path / "run/wandb/offline-run-1/logs").mkdir(parents=True)
    (tmp_path / "run/wandb/latest-run").symlink_to("offline-run-1")
    (tmp_path / "run/wandb/debug.log").symlink_to("offline-run-1/logs/debug.log")
    log = tmp_path / "cache/wandb/logs/core-debug-20261128_120000.log"
    (tmp_path / "run/wandb/offline-run-1/logs/debug-core.log").symlink_to(log)
    runs.begin(tmp_path / "run", fingerprint())
