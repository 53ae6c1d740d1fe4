"""A class under another name and in another module, as if the code had been reorganised since a record was written."""

from contextlib import contextmanager

NAMES = ("__name__", "__qualname__", "__module__")


@contextmanager
def renamed(cls, name="Renamed"):
    """Rename and move a class for a while."""
    before = [getattr(cls, attribute) for attribute in NAMES]
    try:
        for attribute, value in zip(NAMES, (name, name, f"dreaming.moved.{name}"), strict=True):
            setattr(cls, attribute, value)
        yield
    finally:
        for attribute, value in zip(NAMES, before, strict=True):
            setattr(cls, attribute, value)
