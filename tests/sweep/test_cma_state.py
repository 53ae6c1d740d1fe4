import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from optuna.samplers import CmaEsSampler

from dreaming.errors import ConfigError
from dreaming.sweep.cma_state import secure


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def restore(state):
    sampler = CmaEsSampler()
    secure(sampler)
    attributes = sampler._split_optimizer_str(state.hex())
    return sampler._restore_optimizer([SimpleNamespace(number=3, system_attrs={**attributes, "cma:generation": 1})])


@pytest.mark.parametrize("wrapped", [lambda thing: thing, lambda thing: np.array([thing], object)])
def test_a_payload_in_the_database_is_not_executed(tmp_path, wrapped):
    with pytest.raises(ConfigError) as refused:
        restore(pickle.dumps(wrapped(Payload(tmp_path / "owned"))))
    assert refused.value.where == "sweep.storage"
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("state", [b"x", b"\x80\x04"])
def test_another_state_is_refused(state):
    with pytest.raises(ConfigError):
        restore(state)


@pytest.mark.parametrize("name", ["CMA", "SepCMA", "CMAwM"])
def test_every_optimiser_is_restored_as_it_was(name):
    cmaes = pytest.importorskip("cmaes")
    bounds = np.array([[0.0, 1.0]] * 3)
    more = {"steps": np.array([0.0, 0.5, 0.0])} if name == "CMAwM" else {}
    optimiser = getattr(cmaes, name)(mean=np.full(3, 0.5), sigma=0.2, bounds=bounds, **more)
    tell = [(np.ravel(optimiser.ask())[-3:], float(number)) for number in range(optimiser.population_size)]
    optimiser.tell(tell)
    found = restore(pickle.dumps(optimiser))
    assert type(found) is type(optimiser)
    assert found.generation == 1
    assert vars(found).keys() == vars(optimiser).keys()
