"""A study is resumed, its lost trials are failed and queued again, and live ones are left alone."""

import os
import sqlite3
import threading

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from dreaming.errors import ConfigError
from dreaming.sweep import study as module
from dreaming.sweep.study import (
    HAS_HEARTBEAT,
    RETRY_OF,
    SURPLUS,
    ask,
    check_space,
    count_finished,
    heartbeat,
    open_storage,
    open_study,
    release_surplus,
    requeue,
    retry_lost,
)


def states(study):
    return [trial.state.name for trial in study.get_trials()]


def test_complete_and_pruned_trials_are_finished(study):
    sweep = study()
    complete, pruned, failed, _ = ask(sweep, 4)
    sweep.tell(complete, 0.5)
    sweep.tell(pruned, state=TrialState.PRUNED)
    sweep.tell(failed, state=TrialState.FAIL)
    assert count_finished(sweep) == 2


def test_a_study_is_resumed_with_the_same_objectives_only(sweep_config, study):
    ask(study(), 1)
    assert len(open_study(sweep_config()).trials) == 1
    with pytest.raises(ConfigError) as refused:
        study(objectives=["score", "seconds"])
    assert (refused.value.found, refused.value.expected) == (
        "a study with the directions maximize",
        "maximize, minimize",
    )


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/x", "postgresql://nobody@127.0.0.1:1/none"])
def test_an_unreachable_database_is_refused(sweep_config, url):
    with pytest.raises(ConfigError) as refused:
        open_storage(sweep_config(storage=url))
    assert refused.value.where == "sweep.storage"


@pytest.mark.parametrize("damage", ["text", "middle"])
def test_a_damaged_database_is_refused_and_stays_as_it_is(sweep_config, study, damage):
    study()
    path = sweep_config().folder / "study.db"
    data = path.read_bytes()
    data = b"no database" * 100 if damage == "text" else data[:4096] + bytes(8192) + data[12288:]
    path.write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        study()
    assert refused.value.where == "sweep.storage"
    assert str(path) in refused.value.found
    assert path.read_bytes() == data


def test_the_database_follows_the_umask(sweep_config, study):
    before = os.umask(0o002)
    try:
        study()
    finally:
        os.umask(before)
    assert (sweep_config().folder / "study.db").stat().st_mode & 0o777 == 0o664


def test_processes_that_start_together_create_one_database(sweep_config):
    barrier, opened = threading.Barrier(4), []

    def start(url):
        barrier.wait()
        opened.append(open_study(sweep_config(storage=url), optuna.samplers.RandomSampler()))

    for number in range(2):
        url = f"sqlite:///{sweep_config().folder}/{number}.db"
        threads = [threading.Thread(target=start, args=(url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(opened) == 8


def test_another_search_space_is_refused_and_a_wider_one_accepted(study):
    sweep = study()
    trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0), "depth": IntDistribution(2, 5)})
    sweep.tell(trial, 0.5)
    check_space(sweep, {"lr": FloatDistribution(0.01, 2.0), "depth": IntDistribution(2, 5)})
    for name, other in (
        ("depth", {"lr": FloatDistribution(0.1, 1.0)}),
        ("lr", {"lr": IntDistribution(0, 1), "depth": IntDistribution(2, 5)}),
    ):
        with pytest.raises(ConfigError) as refused:
            check_space(sweep, other)
        assert refused.value.where == name


def test_lost_trials_are_queued_again_and_live_ones_left_alone(sweep_config, study):
    sweep = study(heartbeat=5)
    lost, live = (sweep.ask({"depth": IntDistribution(1, 1000)}) for _ in range(2))
    values = dict(lost.params)
    with heartbeat(sweep, [lost, live], 5):
        pass
    with sqlite3.connect(sweep_config().folder / "study.db") as database:
        database.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-16 seconds')"
            " WHERE trial_id = (SELECT trial_id FROM trials WHERE number = ?)",
            (lost.number,),
        )
    retry_lost(sweep)
    assert states(sweep) == ["FAIL", "RUNNING", "WAITING"]
    (again,) = ask(sweep, 1)
    assert again.suggest_int("depth", 1, 1000) == values["depth"]
    assert again.user_attrs[RETRY_OF] == lost.number
    retry_lost(sweep)
    assert states(sweep) == ["FAIL", "RUNNING", "RUNNING"], "a trial without a heartbeat may wait in a queue"


def test_of_trials_asked_for_at_the_same_time_the_first_are_kept(sweep_config, study):
    here, there = study(), study()
    here.tell(here.ask(), 0.5)
    mine, theirs = ask(here, 2), ask(there, 2)
    assert release_surplus(there, theirs, 4) == theirs[:1]
    assert release_surplus(here, mine, 4) == mine
    assert states(here) == ["COMPLETE", "RUNNING", "RUNNING", "RUNNING", "FAIL"]
    assert here.trials[4].user_attrs[SURPLUS]


def test_a_new_trial_is_waited_for_and_left_out_if_it_stays_silent(study, monkeypatch):
    monkeypatch.setattr(module, "FIRST_HEARTBEAT_TIMEOUT", 0.5)
    sweep = study()
    starting = sweep.ask()
    asked = ask(sweep, 2)
    assert release_surplus(sweep, asked, 2) == asked, "its process was killed"
    timer = threading.Timer(0.2, starting.set_user_attr, (HAS_HEARTBEAT, True))
    timer.start()
    assert release_surplus(sweep, asked, 2) == asked[:1]
    timer.join()


def test_heartbeats_are_sent_while_a_block_runs(sweep_config, study):
    sweep = study(heartbeat=1)
    trials = [sweep.ask(), sweep.ask()]
    with heartbeat(sweep, trials, 1), sqlite3.connect(sweep_config().folder / "study.db") as database:
        threading.Event().wait(0.3)
        assert database.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (2,)
    assert not [thread for thread in threading.enumerate() if "beat" in thread.name]


def test_trials_of_an_interrupted_batch_are_queued_unless_they_ended(study):
    sweep = study()
    ended, broken = (sweep.ask({"depth": IntDistribution(1, 9)}) for _ in range(2))
    sweep.tell(ended, 0.5)
    requeue(sweep, [ended, broken])
    assert states(sweep) == ["COMPLETE", "FAIL", "WAITING"]
    (again,) = ask(sweep, 1)
    assert again.suggest_int("depth", 1, 9) == broken.params["depth"]


def test_values_that_are_lost_each_time_are_given_up(study, caplog):
    sweep = study()
    first = sweep.ask({"depth": IntDistribution(1, 1000)})
    requeue(sweep, [first])
    for _ in range(2):
        (again,) = ask(sweep, 1)
        assert again.suggest_int("depth", 1, 1000) == first.params["depth"]
        requeue(sweep, [again])
    assert states(sweep) == ["FAIL"] * 3, "nothing is queued"
    assert [record.args for record in caplog.records] == [("unet", 0), ("unet", 1), ("unet", 2, 3)]


def test_optuna_logs_nothing(study, capsys):
    sweep = study()
    sweep.tell(sweep.ask(), 0.5)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert capsys.readouterr().err == ""
