"""The best trial of a sweep as ``sweeps/<name>/best.yaml``: what it takes to train it again, or to use it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.atomic import write_atomically

BEST = "best.yaml"


@dataclass(frozen=True)
class BestTrial:
    """The best trial of a sweep.

    Attributes:
        sweep: The sweep's name.
        component: The model or masker whose values were searched.
        trial: The trial's number.
        value: Its score on unseen data.
        overrides: The searched values, and what else was set of models, maskers and data: ``key=value``.
        command: The command that runs it again.
        choices: What else all trials shared and the values were found under: of a group, or of a whole run.
    """

    sweep: str
    component: str
    trial: int
    value: float
    overrides: tuple[str, ...]
    command: str
    choices: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write into a sweep's folder, atomically."""
        data = {**asdict(self), "overrides": list(self.overrides), "choices": list(self.choices)}
        write_atomically(folder / BEST, yaml.safe_dump(data, sort_keys=False, width=1000).encode())

    @classmethod
    def read(cls, path: Path) -> "BestTrial":
        """Read a ``best.yaml``.

        Raises:
            ConfigError: If it is none.
        """
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            texts = {key: tuple(map(str, data.get(key, ()))) for key in ("overrides", "choices")}
            return cls(**{**data, **texts})
        except (yaml.YAMLError, AttributeError, TypeError, KeyError, ValueError):
            raise ConfigError(
                path, found="another content", expected="what a sweep writes", hint="remove it, or say tuned=false"
            ) from None


def is_value(text: str) -> bool:
    """Whether an override sets one value of a model, a masker or their data, and chooses nothing beside it."""
    key = text.partition("=")[0]
    return "." in key and key[0] not in "+~" and "@" not in key


def best_trials(clip: Clip) -> dict[str, BestTrial]:
    """What the clip's sweeps found, by model or masker; of several sweeps of one, what was found last."""
    paths = sorted((clip.path / "sweeps").glob(f"*/{BEST}"), key=lambda path: path.stat().st_mtime_ns)
    found = [BestTrial.read(path) for path in paths]
    return {best.component: best for best in found}
