"""A study in PostgreSQL shared by several machines, on a server of the test's own if PostgreSQL is installed."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.distributions import IntDistribution

from dreaming.sweep.study import ask, count_finished, heartbeat, open_study, release_surplus, retry_lost
from dreaming.sweep.trial import claim_trial

PORT = 54329


def binary(name):
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return str(Path(found).resolve())


@pytest.fixture(scope="module")
def server():
    """The URL of a database on a server that is stopped after the tests."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'dreaming[cluster]')")
    initdb, control = binary("initdb"), binary("pg_ctl")
    # The server refuses to run as root, and the path of a socket is limited to about 100 characters.
    owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    root = Path(tempfile.mkdtemp(prefix="pg"))
    if owner:
        shutil.chown(root, **owner)
    data = root / "data"

    def call(*command):
        subprocess.run(command, check=True, cwd=root, stdout=subprocess.DEVNULL, **owner)

    try:
        call(initdb, "-D", data, "-U", "dreamer", "-A", "trust", "--no-sync")
        options = f"-p {PORT} -k {root} -c listen_addresses=127.0.0.1 -c fsync=off"
        call(control, "-D", data, "-w", "-l", root / "log", "-o", options, "start")
        yield f"postgresql://dreamer@127.0.0.1:{PORT}/postgres"
        call(control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root)


@pytest.mark.slow
def test_two_machines_share_a_study(disc_clip, sweep_config, server):
    clip, shared = disc_clip(masks=(1,)).clip, sweep_config(storage=server)
    with ThreadPoolExecutor() as machines:  # started together, before there are tables
        here, there = machines.map(lambda seed: open_study(shared, optuna.samplers.RandomSampler(seed=seed)), range(2))
    mine, theirs = (study.ask({"depth": IntDistribution(1, 1000)}) for study in (here, there))
    with heartbeat(here, [mine], 10), heartbeat(there, [theirs], 10):
        found = claim_trial(shared, [f"depth={theirs.params['depth']}"], clip, clip.path / "runs" / "1")
        assert found.number == theirs.number
        found.report(0.5, 10)
        retry_lost(here)
    there.tell(theirs, 0.7)
    here.tell(mine, 0.8)
    assert count_finished(here) == count_finished(there) == 2
    assert there.best_trial.number == mine.number
    assert here.trials[theirs.number].intermediate_values == {10: 0.5}
    mine, theirs = ask(here, 1), ask(there, 1)
    assert (release_surplus(there, theirs, 3), release_surplus(here, mine, 3)) == ([], mine)
