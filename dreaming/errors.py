"""Errors that a user can correct, built from facts: where, what was found, what was expected, and a hint.

The most common ones name a section of ``docs/errors.md``, which the wheel contains with all other pages in
``dreaming/share/docs/``.
"""

from pathlib import Path
from typing import ClassVar


def help_page() -> str:
    """Path of the page about errors, below the working folder a relative one."""
    package = Path(__file__).parent
    page = package.parent / "docs" / "errors.md"
    page = page if page.exists() else package / "share" / "docs" / "errors.md"
    try:
        return page.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):  # elsewhere, or the working folder was deleted
        return str(page)


MAX_FOUND = 400
"""Characters of what was found that an error shows."""


class DreamingError(Exception):
    """A mistake in the input or the config; shown as one sentence, exit code 2, without a traceback.

    Args:
        where: The file, folder or config key that is wrong.
        found: What is there.
        expected: What should be there.
        hint: What else the user can do about it, as an imperative; may be empty.
        topic: The section of ``docs/errors.md`` that helps, as in its address; by default the class's.
    """

    TOPIC: ClassVar[str] = ""

    def __init__(self, where: object, *, found: str, expected: str, hint: str = "", topic: str = "") -> None:
        found = _shorten(found)
        self.where, self.found, self.expected, self.hint = str(where), found, expected, hint
        self.topic = topic or self.TOPIC
        more = f"; {hint}" * bool(hint) + f" ({help_page()}#{self.topic})" * bool(self.topic)
        super().__init__(f"{where}: found {found}, expected {expected}{more}.")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when pickled in a worker process."""
        facts = {"found": self.found, "expected": self.expected, "hint": self.hint, "topic": self.topic}
        return (_rebuild, (type(self), self.where, facts))


def _shorten(found: str) -> str:
    """A part of what was found, which may be a file's whole content."""
    return found if len(found) <= MAX_FOUND else f"{found[: MAX_FOUND - 60]} ... {found[-50:]}"


def _rebuild(kind: type[DreamingError], where: str, facts: dict[str, str]) -> DreamingError:
    error = kind.__new__(kind)
    DreamingError.__init__(error, where, **facts)
    return error


class ParameterError(ValueError):
    """An invalid parameter, for conditions that its type and range cannot express; ``build`` adds the full config key.

    Args:
        name: The parameter's name in its class, dotted where it lies deeper.
        found: The value, or what is wrong with it.
        expected: The accepted values.
        hint: What else the user can do about it, as an imperative; may be empty.
    """

    def __init__(self, name: str, *, found: object, expected: str, hint: str = "") -> None:
        found = _shorten(str(found))
        self.name, self.found, self.expected, self.hint = name, found, expected, hint
        super().__init__(f"{name}: found {found}, expected {expected}" + (f"; {hint}." if hint else "."))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when pickled in a worker process."""
        return (_rebuild_parameter_error, (self.name, self.found, self.expected, self.hint))


def _rebuild_parameter_error(name: str, found: str, expected: str, hint: str) -> ParameterError:
    return ParameterError(name, found=found, expected=expected, hint=hint)


class ConfigError(DreamingError):
    """A config key or value that does not exist or does not fit."""


class ClipError(DreamingError):
    """A clip folder whose parts do not fit together."""


class FrameError(DreamingError):
    """An image file that cannot be used."""


class SizeError(FrameError):
    """An image of another size than the clip's frames."""

    TOPIC = "wrong-size"

    def __init__(self, where: object, *, found: tuple[int, int], expected: tuple[int, int], hint: str = "") -> None:
        """Sizes are (height, width) in pixels."""
        super().__init__(
            where,
            found=f"{found[1]}x{found[0]} pixels",
            expected=f"{expected[1]}x{expected[0]} as the other frames",
            hint=hint,
        )


class VideoError(DreamingError):
    """A video file that cannot be read or written."""


class MaskError(DreamingError):
    """A hand mask that cannot be used, or too few of them."""


class KeyframeError(DreamingError):
    """A stylised keyframe that cannot be used."""


class CheckpointError(DreamingError):
    """A checkpoint that does not belong to this model, config or clip."""


class DivergenceError(DreamingError):
    """A training whose loss, score or weights are no longer finite."""


class WeightsError(DreamingError):
    """Pretrained weights that are missing, or belong to another network."""


class SpaceError(DreamingError):
    """No space left to write to."""

    TOPIC = "no-space"


class MemoryShortageError(DreamingError):
    """Not enough main memory, or memory of a GPU, for the settings."""

    TOPIC = "no-memory"


class AccessError(DreamingError):
    """A file or folder that this process may not read or write."""
