"""The learning curve of a training, read from the lines of its progress bar."""

import re
from typing import Any

POINTS = 400
"""Points of a curve at most; of a longer one, every second, fourth, ... is kept."""

_VALUE = re.compile(r"(?P<name>[a-z_]+) (?P<value>-?\d+\.\d+)")


class LearningCurve:
    """The values of the last training that a job reported, by step."""

    def __init__(self) -> None:
        self._title, self._every, self._seen = "", 1, 0
        self._points: list[tuple[int, dict[str, float]]] = []

    def add(self, progress: dict[str, Any]) -> None:
        """Add a line of a progress bar; one without values, such as ``loss 0.512``, is ignored."""
        values = {name: float(value) for name, value in _VALUE.findall(progress["note"] or "")}
        if not values:
            return
        if progress["title"] != self._title or (self._points and progress["done"] < self._points[-1][0]):
            self._title, self._every, self._seen, self._points = progress["title"], 1, 0, []
        self._seen += 1
        if (self._seen - 1) % self._every == 0:
            self._points.append((progress["done"], values))
        if len(self._points) > POINTS:
            self._points, self._every = self._points[::2], 2 * self._every

    @property
    def state(self) -> dict[str, Any] | None:
        """Title, and one list of steps and values for each name; None before the first values."""
        if not self._points:
            return None
        names = dict.fromkeys(name for _, values in self._points for name in values)
        curves = {name: [[step, values[name]] for step, values in self._points if name in values] for name in names}
        return {"title": self._title, "curves": curves}
