"""The best trial of a sweep, recorded in ``sweeps/<name>/best.yaml``: how to train it again, and how to use it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from pydantic import TypeAdapter, ValidationError

from dreaming.artifacts.output_file import write_output
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.file_search import files_below
from dreaming.io.plain_data import read_plain_yaml

BEST = "best.yaml"

SCHEMA = 1
"""Version of the record, increased when a field changes its meaning."""


SEARCHED = ("model", "masker", "data", "guide", "generator")
"""Config groups whose values a best trial may set."""


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
        write_output(folder / BEST, yaml.safe_dump(data, sort_keys=False, width=1000).encode())

    @classmethod
    def read(cls, path: Path) -> "BestTrial":
        """Read a ``best.yaml``, without unknown fields.

        Raises:
            ConfigError: If it is no such record, or a newer one.
        """
        try:
            data = read_plain_yaml(path)
            if data.get("schema", SCHEMA) > SCHEMA:
                raise ValueError("newer schema")
            best = TypeAdapter(cls).validate_python(data)
            if wrong := [text for text in best.overrides if not is_value(text)]:
                raise ValueError(wrong[0])
        except (AttributeError, TypeError, ValueError) as error:
            fields = error.errors() if isinstance(error, ValidationError) else []
            reason = ", ".join(dict.fromkeys(f"no valid {each['loc'][0]}" for each in fields)) or str(error)
            raise ConfigError(
                path,
                found=f"unknown contents ({' '.join(reason.split())[:160]})",
                expected=f"the best trial of a sweep, schema {SCHEMA}, with plain values of {', '.join(SEARCHED)}",
                hint="move the file elsewhere, or set tuned=false",
            ) from None
        return best


def is_value(text: str) -> bool:
    """Whether an override sets a key of a model, a masker or their data to a plain value.

    A ``best.yaml`` may come from anybody, so its values must not refer to other keys or name classes.
    """
    try:
        override = OverridesParser.create().parse_override(text)
        value = override.value()
    except HydraException:
        return False
    names = override.key_or_group.split(".")
    named = len(names) > 1 and names[0] in SEARCHED and not any(name.startswith("_") for name in names)
    replaces = override.type is OverrideType.CHANGE and override.package is None and not override.is_sweep_override()
    return named and replaces and _is_plain(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return "${" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)


def best_trials(clip: Clip) -> dict[str, BestTrial]:
    """The best trial of each model and masker that was swept on a clip; of several sweeps that of the latest."""
    trials = [BestTrial.read(path) for path in files_below(clip.path / "sweeps", BEST, depth=1)]
    return {best.component: best for best in sorted(trials, key=lambda best: (best.finished_at, best.sweep))}
