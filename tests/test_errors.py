import inspect
import pickle

import pytest

from dreaming import errors
from dreaming.errors import DreamingError, FrameError, SizeError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, DreamingError)]


def make(kind):
    if kind is SizeError:
        return SizeError("a/b.png", found=(30, 40), expected=(3, 4), hint="resize it")
    return kind("a/b.png", found="this", expected="that", hint="do so")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_trip_from_a_worker(kind):
    error = make(kind)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(back) is kind
    assert (str(back), back.where, back.found, back.expected, back.hint) == (
        str(error),
        error.where,
        error.found,
        error.expected,
        error.hint,
    )


def test_an_error_is_one_sentence_of_where_found_expected_mend():
    assert str(make(DreamingError)) == "a/b.png: found this, expected that; do so."


def test_sizes_are_said_as_width_by_height():
    error = make(SizeError)
    assert isinstance(error, FrameError)
    assert "found 40x30 pixels, expected 4x3" in str(error)
