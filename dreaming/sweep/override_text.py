"""Values as text in Hydra's grammar of overrides."""

from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException


def to_text(value: object) -> str:
    """Write a plain value so that Hydra reads it as the same value; text is quoted only if necessary."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ",".join(quoted(item) if isinstance(item, str) else to_text(item) for item in value) + "]"
    return str(value) if not isinstance(value, str) or _is_read_as_itself(value) else quoted(value)


def quoted(text: str) -> str:
    """Quote text, so that Hydra reads it as it is."""
    return QuotedString(text, Quote.single).with_quotes()


@lru_cache(maxsize=256)
def _is_read_as_itself(text: str) -> bool:
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return False
    return not override.is_sweep_override() and override.value() == text
