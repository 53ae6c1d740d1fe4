"""Names and words of the first versions that were replaced by the field's terms do not come back."""

import ast
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "dreaming").rglob("*.py"))
TEXTS = [*MODULES, *sorted((ROOT / "conf").rglob("*.yaml")), ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

WORDS = {
    "Absences",
    "Carrier",
    "ClipEvidence",
    "Evidence",
    "Lessons",
    "Mixer",
    "Palette",
    "Recipe",
    "Remembered",
    "Remembering",
    "SURE",
    "Sizing",
    "Spool",
    "Surroundings",
    "ThinConv",
    "WholeFiles",
    "Workbench",
    "beating",
    "carried",
    "give_back",
    "give_up",
    "given_up",
    "identity",
    "judged",
    "learnt",
    "learnt_from",
    "lesson",
    "lit",
    "looked_at",
    "mend",
    "mends",
    "of_masks",
    "palette",
    "protocol",
    "spool",
    "stray",
    "there_and_back",
    "told",
    "told_once",
    "trust",
    "unlearnt_from",
    "unseen",
}
"""Words that occur nowhere: neither as a name nor in prose."""

EXCEPTIONS = {
    ("docs/", "trust"),  # the security sense: which packages a config may name
    ("dreaming/cli/", "trust"),  # the same
    ("dreaming/instantiation/", "trust"),  # the same
    ("dreaming/imaging/colour_histogram.py", "unseen"),  # a colour that occurs in no frame
    ("dreaming/imports/", "palette"),  # of a palette PNG
    ("dreaming/io/", "palette"),  # of a palette PNG
    ("dreaming/video/", "palette"),  # of a video with a palette
    ("dreaming/demo/painter", "palette"),  # a painter's, and a knife
    ("dreaming/video/stream.py", "protocol"),  # of a URL
    ("dreaming/networks/colour_map.py", "identity"),  # the identity map
}

NAMES = {"aside", "budget", "least", "place", "places", "travel"}
"""Ordinary words that are no names of variables, parameters, functions or config keys."""

CLASSES = {
    "Chance",
    "Choice",
    "Clock",
    "Course",
    "Curve",
    "Draws",
    "Drift",
    "Form",
    "Gated",
    "Judge",
    "Lesson",
    "Lighting",
    "Look",
    "Outcome",
    "Plan",
    "Quality",
    "Reach",
    "Rolling",
    "Run",
    "Side",
    "Steps",
    "Strip",
    "Unseen",
}
"""Ordinary words that are no names of classes."""


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def words_of(path):
    """Words of a text, and the parts of those that are joined by underscores."""
    words = set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return words | {part for word in words for part in re.split(r"_+", word)}


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_replaced_words_do_not_occur(path):
    used = words_of(path)
    allowed = {word for prefix, word in EXCEPTIONS if name_of(path).startswith(prefix)}
    assert used & WORDS <= allowed


def test_replaced_names_do_not_occur():
    for path in MODULES:
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        assert not {token.string for token in tokens if token.type == tokenize.NAME} & NAMES, path
    for path in sorted((ROOT / "conf").rglob("*.yaml")):
        assert not set(re.findall(r"^\W*(\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)) & NAMES, path


def test_class_names_are_unique_and_none_is_a_replaced_one():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
    assert not names.keys() & CLASSES


def test_every_exception_is_needed():
    found = {(name_of(path), word) for path in TEXTS for word in words_of(path)}
    for prefix, word in EXCEPTIONS:
        assert any(path.startswith(prefix) and word == other for path, other in found), (prefix, word)
