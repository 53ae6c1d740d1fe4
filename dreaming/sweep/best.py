"""The best trial of a sweep, recorded in ``sweeps/<name>/best.yaml``: how to train it again, and how to use it."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.atomic import write_atomically

BEST = "best.yaml"

SCHEMA = 1
"""Version of the record, increased when a field changes its meaning."""


@dataclass(frozen=True)
class BestTrial:
    """The best trial of a sweep.

    Attributes:
        sweep: The sweep's name.
        component: The model or masker whose values were searched.
        trial: The trial's number.
        value: Its score on held-out data.
        overrides: The searched values and all other values of models, maskers and data that the sweep set.
        command: The command that runs the trial again.
        choices: Overrides that all trials share and that choose a config group or a value of the whole run, such as
            ``generator=fast`` or ``seed=3``. The values were tuned under them.
        finished_at: When the sweep ended, UTC in ISO 8601. Of several sweeps of a component the latest one counts.
    """

    sweep: str
    component: str
    trial: int
    value: float
    overrides: tuple[str, ...]
    command: str
    choices: tuple[str, ...] = ()
    finished_at: str = ""

    def write(self, folder: Path) -> None:
        """Write the record into a sweep's folder, atomically."""
        data = {"schema": SCHEMA, **asdict(self), "overrides": list(self.overrides), "choices": list(self.choices)}
        write_atomically(folder / BEST, yaml.safe_dump(data, sort_keys=False, width=1000).encode())

    @classmethod
    def read(cls, path: Path) -> "BestTrial":
        """Read a ``best.yaml``; unknown fields are ignored.

        Raises:
            ConfigError: If it is not such a record, or one of a newer schema.
        """
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            if data.get("schema", SCHEMA) > SCHEMA:
                raise ValueError("newer schema")
            known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
            texts = {key: tuple(map(str, data.get(key, ()))) for key in ("overrides", "choices")}
            return cls(**{**known, **texts, "finished_at": str(data.get("finished_at", ""))})
        except (yaml.YAMLError, AttributeError, TypeError, KeyError, ValueError):
            raise ConfigError(
                path,
                found="unknown contents",
                expected=f"the best trial of a sweep, schema {SCHEMA}",
                hint="move the file elsewhere, or set tuned=false",
            ) from None


def is_value(text: str) -> bool:
    """Whether an override sets a single value of a model, a masker or their data."""
    key = text.partition("=")[0]
    return "." in key and key[0] not in "+~" and "@" not in key


def best_trials(clip: Clip) -> dict[str, BestTrial]:
    """The best trial of each model and masker that was swept on a clip; of several sweeps that of the latest."""
    trials = [BestTrial.read(path) for path in (clip.path / "sweeps").glob(f"*/{BEST}")]
    return {best.component: best for best in sorted(trials, key=lambda best: (best.finished_at, best.sweep))}
