"""A study is continued, its lost trials are failed and queued anew, and live ones are left alone."""

import sqlite3
import threading

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from dreaming.errors import ConfigError
from dreaming.sweep import study as module
from dreaming.sweep.study import (
    BEGUN,
    RETRY_OF,
    SURPLUS,
    ask,
    check_space,
    finished,
    heartbeat,
    open_storage,
    open_study,
    release_surplus,
    requeue,
    retry_lost,
)


def states(study):
    return [trial.state.name for trial in study.get_trials()]


def test_finished_trials_are_the_complete_and_the_pruned(study):
    sweep = study()
    complete, pruned, failed, _ = ask(sweep, 4)
    sweep.tell(complete, 0.5)
    sweep.tell(pruned, state=TrialState.PRUNED)
    sweep.tell(failed, state=TrialState.FAIL)
    assert finished(sweep) == 2


def test_a_study_is_found_again_and_only_with_the_same_objectives(plan, study):
    ask(study(), 1)
    assert len(open_study(plan()).trials) == 1
    with pytest.raises(ConfigError, match="maximize and minimize"):
        study(objectives=["score", "seconds"])


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/x", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_reached_is_told_in_a_sentence(plan, url):
    with pytest.raises(ConfigError, match=r"sweep\.storage"):
        open_storage(plan(storage=url))


def test_several_that_begin_at_once_make_one_database(plan):
    barrier, opened = threading.Barrier(4), []

    def begin(url):
        barrier.wait()
        opened.append(open_study(plan(storage=url), optuna.samplers.RandomSampler()))

    for number in range(3):
        url = f"sqlite:///{plan().folder}/{number}.db"
        threads = [threading.Thread(target=begin, args=(url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(opened) == 12


def test_another_search_space_is_refused_and_a_wider_one_taken(study):
    sweep = study()
    trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0), "depth": IntDistribution(2, 5)})
    sweep.tell(trial, 0.5)
    check_space(sweep, {"lr": FloatDistribution(0.01, 2.0), "depth": IntDistribution(2, 5)})
    for other in ({"lr": FloatDistribution(0.1, 1.0)}, {"lr": IntDistribution(0, 1), "depth": IntDistribution(2, 5)}):
        with pytest.raises(ConfigError, match=r"sweep\.name"):
            check_space(sweep, other)


def test_lost_trials_are_tried_again_and_live_ones_left_alone(plan, study):
    sweep = study(heartbeat=5)
    lost, live = (sweep.ask({"depth": IntDistribution(1, 1000)}) for _ in range(2))
    values = dict(lost.params)
    with heartbeat(sweep, [lost, live], 5):
        pass
    with sqlite3.connect(plan().folder / "study.db") as database:
        database.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-16 seconds') WHERE trial_id = ?",
            (lost._trial_id,),
        )
    retry_lost(sweep)
    assert states(sweep) == ["FAIL", "RUNNING", "WAITING"]
    (again,) = ask(sweep, 1)
    assert again.suggest_int("depth", 1, 1000) == values["depth"]
    assert again.user_attrs[RETRY_OF] == lost.number
    retry_lost(sweep)
    assert states(sweep) == ["FAIL", "RUNNING", "RUNNING"], "one that has given no sign yet may wait in a queue"


def test_of_trials_asked_at_the_same_time_the_first_are_kept(plan, study):
    here, there = study(), study()
    here.tell(here.ask(), 0.5)
    mine, theirs = ask(here, 2), ask(there, 2)
    assert release_surplus(there, theirs, 4) == theirs[:1]
    assert release_surplus(here, mine, 4) == mine
    assert states(here) == ["COMPLETE", "RUNNING", "RUNNING", "RUNNING", "FAIL"]
    assert here.trials[4].user_attrs[SURPLUS]


def test_a_trial_begun_just_now_is_waited_for_and_one_that_stays_dumb_left_out(study, monkeypatch):
    monkeypatch.setattr(module, "HESITATION", 0.5)
    sweep = study()
    begins = sweep.ask()
    asked = ask(sweep, 2)
    assert release_surplus(sweep, asked, 2) == asked, "its process was killed"
    timer = threading.Timer(0.2, begins.set_user_attr, (BEGUN, True))
    timer.start()
    assert release_surplus(sweep, asked, 2) == asked[:1]
    timer.join()


def test_signs_of_life_are_given_while_a_block_runs(plan, study):
    sweep = study(heartbeat=1)
    trials = [sweep.ask(), sweep.ask()]
    with heartbeat(sweep, trials, 1), sqlite3.connect(plan().folder / "study.db") as database:
        threading.Event().wait(0.3)
        assert database.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (2,)
    assert not [thread for thread in threading.enumerate() if "beat" in thread.name]


def test_trials_of_an_interrupted_batch_are_queued_but_for_those_that_ended(study):
    sweep = study()
    ended, broken = (sweep.ask({"depth": IntDistribution(1, 9)}) for _ in range(2))
    sweep.tell(ended, 0.5)
    requeue(sweep, [ended, broken])
    assert states(sweep) == ["COMPLETE", "FAIL", "WAITING"]
    (again,) = ask(sweep, 1)
    assert again.suggest_int("depth", 1, 9) == broken.params["depth"]


def test_values_that_are_lost_each_time_are_given_up_in_the_end(study, caplog):
    sweep = study()
    first = sweep.ask({"depth": IntDistribution(1, 1000)})
    requeue(sweep, [first])
    for _ in range(2):
        (again,) = ask(sweep, 1)
        assert again.suggest_int("depth", 1, 1000) == first.params["depth"]
        assert "not tried again" not in caplog.text
        requeue(sweep, [again])
    assert states(sweep) == ["FAIL"] * 3, "nothing is queued"
    assert "trial 2 was lost, as 2 before it of the same values; they are not tried again" in caplog.text


def test_optuna_itself_keeps_quiet(study, capsys):
    sweep = study()
    sweep.tell(sweep.ask(), 0.5)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert capsys.readouterr().err == ""
