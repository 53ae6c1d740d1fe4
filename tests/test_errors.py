import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest

from dreaming import errors
from dreaming.errors import DreamingError, FrameError, SizeError, help_page

ROOT = Path(__file__).resolve().parents[1]
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, DreamingError)]


def make(kind):
    if kind is SizeError:
        return SizeError("a/b.png", found=(30, 40), expected=(3, 4), hint="resize it")
    return kind("a/b.png", found="this", expected="that", hint="do so")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_trip_from_a_worker(kind):
    error = make(kind)
    back = pickle.loads(pickle.dumps(error))
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


def headings(text):
    """The addresses of a page's sections, as mkdocs and GitHub form them."""
    return {
        re.sub(r"[^\w\s-]", "", line[3:].lower()).replace(" ", "-") for line in text.splitlines() if line[:3] == "## "
    }


def topics():
    """The sections that errors of the package name."""
    for path in (ROOT / "dreaming").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "topic" and isinstance(node.value, ast.Constant):
                yield node.value.value
    yield from (kind.TOPIC for kind in KINDS)


def test_every_topic_is_a_section_of_the_page_and_every_section_is_a_topic():
    found = set(topics()) - {""}
    assert len(found) > 20
    assert found == headings((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))


def test_an_error_names_its_section_of_a_page_that_exists(monkeypatch, tmp_path):
    error = DreamingError("a", found="b", expected="c", topic="no-frames")
    assert pickle.loads(pickle.dumps(error)).topic == "no-frames"
    monkeypatch.chdir(ROOT)
    assert "(docs/errors.md#no-frames)" in str(DreamingError("a", found="b", expected="c", topic="no-frames"))
    monkeypatch.chdir(tmp_path)
    assert Path(help_page()) == ROOT / "docs" / "errors.md"


@pytest.mark.parametrize("kind", [DreamingError, errors.ParameterError])
def test_only_a_part_of_a_long_text_is_shown(kind):
    error = kind("a", found="x" * 10_000, expected="that")
    assert len(str(error)) < errors.MAX_FOUND + 50
    assert pickle.loads(pickle.dumps(error)).found == error.found
