"""Sweeps and studies in a folder of the test's own."""

import optuna
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import open_study


@pytest.fixture(autouse=True)
def _no_fsync():
    """Spare SQLite the wait for the disk: no test cuts the power."""

    def set_pragma(connection, _):
        if type(connection).__module__ == "sqlite3":
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", set_pragma)
    yield
    event.remove(Engine, "connect", set_pragma)


@pytest.fixture
def sweep_config(tmp_path):
    """Settings of a sweep whose study lies in the test's folder."""

    def make(**config):
        folder = tmp_path / "sweeps" / "unet"
        defaults = {"name": "unet", "component": "unet", "folder": folder, "storage": f"sqlite:///{folder}/study.db"}
        return SweepConfig(**{**defaults, **config})

    return make


@pytest.fixture
def study(sweep_config):
    """A new study of a sweep."""
    return lambda **config: open_study(sweep_config(**config), optuna.samplers.RandomSampler(seed=0))
