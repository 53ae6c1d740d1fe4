"""The page of all config keys: types from the signatures of the classes, defaults and meanings from ``conf/``.

mkdocs calls ``on_page_markdown``, because ``mkdocs.yml`` lists this file under ``hooks``.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args, get_origin

import pytorch_lightning
import yaml

from dreaming.instantiation.build import SETTINGS
from dreaming.instantiation.trust import find_target
from dreaming.instantiation.validation import describe, parameters_of
from dreaming.models.style import LossTerm, StyleModule

CONF = Path(__file__).resolve().parents[1] / "conf"
PAGE = "reference/config.md"
GROUPS = {
    "data": "Data, optical flow and features",
    "masker": "Maskers",
    "model": "Models and their training",
    "generator": "Generators of styles",
    "guide": "Guides of the style network",
    "stage": "Stages",
    "trainer": "Devices",
    "logger": "Loggers",
    "callbacks": "Callbacks",
    "sweep/pruner": "Pruners of sweeps",
}
"""Config groups, in the order of the page, and their titles."""

TOP = {
    "import": "text or null",
    "quality": "draft or good",
    "matte": "none, guided, closed_form or knn",
    "callbacks": "a group of keys",
}
"""Types of the programs' own keys that ``SETTINGS`` lacks or that another class checks."""


@dataclass(frozen=True)
class Key:
    """A config key: its dotted name, the accepted values in words, its default as in the file, and its meaning."""

    name: str
    kind: str
    default: str
    meaning: str


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Append the tables to the page of config keys."""
    return f"{markdown}\n{reference()}" if page.file.src_uri == PAGE else markdown


def reference() -> str:
    """Describe all files of ``conf/`` in Markdown."""
    parts = ["## Keys of both programs\n", _table(program_keys())]
    for group, title in GROUPS.items():
        parts.append(f"## {title}\n")
        for path in sorted((CONF / group).glob("*.yaml")):
            if keys := file_keys(path):
                parts += [f"### {group}={path.stem}\n", _class_of(path), _table(keys)]
    parts += ["## Sweeps\n", _table(file_keys(CONF / "sweep" / "base.yaml"))]
    for path in sorted((CONF / "sweep").glob("*.yaml")):
        searched = _plain(path).get("hydra", {}).get("sweeper", {}).get("params", {})
        if searched:
            rows = [f"| `{name}` | `{_cell(str(values))}` |" for name, values in searched.items()]
            parts += [
                f"### sweep={path.stem}\n",
                "\n".join(["| searched key | values |", "| --- | --- |", *rows]) + "\n",
            ]
    return "\n".join(parts)


def program_keys() -> list[Key]:
    """The keys at the top of ``conf/dream.yaml`` and ``conf/train.yaml``, those of only one program marked as such."""
    by_program = {name: {key.name: key for key in file_keys(CONF / f"{name}.yaml")} for name in ("dream", "train")}
    only = {"dream": "dreaming", "train": "train.py"}
    found: dict[str, Key] = {}
    for program, keys in by_program.items():
        other = by_program["train" if program == "dream" else "dream"]
        for name, key in keys.items():
            note = "" if name in other else f" (only `{only[program]}`)"
            found.setdefault(name, Key(name, key.kind, key.default, key.meaning + note))
    return list(found.values())


def file_keys(path: Path) -> list[Key]:
    """All keys of a file of ``conf/``, except those of Hydra."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text)
    package = re.search(r"^# @package (\S+)", text, re.MULTILINE)
    prefix = package[1] if package else ".".join(path.relative_to(CONF).parent.parts)
    prefix = "" if prefix in ("_global_", ".") else prefix
    if not isinstance(root, yaml.MappingNode):
        return []
    target = pytorch_lightning.Trainer if prefix == "trainer" else None  # that of the file in its defaults
    return list(_keys(root, prefix, text.splitlines(), target, Any))


def _keys(
    node: yaml.MappingNode, prefix: str, lines: list[str], target: Any, hint: Any, meaning: str = ""
) -> Iterator[Key]:
    """The keys of a node; ``hint`` is the node's own annotation, ``meaning`` that of the group of keys."""
    target = _target(node) or target
    for key, value in node.value:
        name = str(key.value)
        full = f"{prefix}.{name}" if prefix else name
        if name.startswith("_") or name in ("defaults", "hydra") or (not prefix and name == "stage"):
            continue
        whole = _target(node) is not None or target is None or prefix == "trainer"
        expected = _hint(target, name) if whole else _item(hint, name)
        comment = _comment(key, value, lines)
        if isinstance(value, yaml.MappingNode) and (_target(value) or not value.flow_style) and value.value:
            if comment:
                yield Key(full, "a group of keys", "", comment)
            yield from _keys(value, full, lines, target, expected, comment)
            continue
        default = _source(value, lines)
        same = re.fullmatch(r"\$\{([\w.]+)\}", default)
        documented = _documented(target, name) if whole else ""
        described = comment or documented or (f"that of `{same[1]}`" if same else meaning)
        yield Key(full, _kind(full, expected), default, described)


def _target(node: yaml.Node) -> Any:
    found = {str(k.value): v.value for k, v in node.value} if isinstance(node, yaml.MappingNode) else {}
    return find_target(found["_target_"]) if "_target_" in found else None


def _hint(target: Any, name: str) -> Any:
    return SETTINGS.get(name, Any) if target is None else parameters_of(target).hints.get(name, Any)


def _item(hint: Any, name: str) -> Any:
    """The annotation of an item of a mapping, or of a parameter where the mapping replaces an object."""
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) == 1 and type(None) in get_args(hint):
        hint = members[0]
    arguments = get_args(hint)
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping) and len(arguments) == 2:
        return arguments[1]
    return Any


def _kind(full: str, hint: Any) -> str:
    if full in TOP:
        return TOP[full]
    if hint is Any:
        return _passed_on().get(full, "any")
    words = re.sub(r" and at most (1e\+0[69]|4\.29497e\+09)", "", describe(hint))  # bounds that nobody reaches
    words = words.replace("a group of keys with _target_", "an object").replace("list of [text]", "list of texts")
    return " or ".join(dict.fromkeys(words.split(" or ")))


@cache
def _passed_on() -> dict[str, str]:
    """The accepted values of keys to which other keys refer, such as those of generators."""
    found = {}
    for path in (*(CONF / "model").glob("*.yaml"), *(CONF / "data").glob("*.yaml")):
        for key in file_keys(path):
            if (same := re.fullmatch(r"\$\{(generator\.[\w.]+)\}", key.default)) and key.kind != "any":
                found[same[1]] = key.kind
    weights = describe(get_args(parameters_of(StyleModule).hints["loss_weights"])[1])
    return found | {f"generator.loss_weights.{term}": weights.split(" and at most")[0] for term in get_args(LossTerm)}


def _comment(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    """The comment behind a key or its value, otherwise the whole lines above it."""
    number = key.start_mark.line
    end = value.end_mark.line if isinstance(value, yaml.ScalarNode) or value.flow_style else number
    column = value.end_mark.column if end != number or isinstance(value, yaml.ScalarNode) or value.flow_style else 0
    behind = re.search(r"(?:^|\s)#\s*(.*)$", lines[end][column:])
    if behind:
        return behind[1].strip()
    if number == len(_head(lines)):  # a comment at the top describes the file
        return ""
    indent = " " * key.start_mark.column
    above = list(takewhile(lambda line: line.startswith(f"{indent}#"), reversed(lines[:number])))
    return " ".join(line.strip("# ") for line in reversed(above))


def _head(lines: list[str]) -> list[str]:
    """The lines above a file's first key."""
    return list(takewhile(lambda line: not line or line.startswith("#"), lines))


def _source(value: yaml.Node, lines: list[str]) -> str:
    start, end = value.start_mark, value.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column].strip()
    return " ".join(line.split("#")[0].strip() for line in lines[start.line : end.line + 1]).strip()


def _documented(target: Any, name: str) -> str:
    """A parameter's description in the docstring of its class or function."""
    for thing in getattr(target, "__mro__", [target]):
        text = inspect.getdoc(thing) or ""
        found = re.search(rf"^    {name}(?: \([^)]*\))?: (.*?)(?=^    \w|^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        if found:
            return " ".join(found[1].split()).replace("``", "`")
    return ""


def _class_of(path: Path) -> str:
    """The class that a file configures, the first paragraph of its docstring, and the comments at the file's top."""
    text = path.read_text(encoding="utf-8")
    top = [line.lstrip("# ") for line in _head(text.splitlines()) if "@package" not in line]
    found = re.search(r"^_target_: (\S+)", text, re.MULTILINE)
    words = " ".join(top)
    if found:
        first = (inspect.getdoc(find_target(found[1])) or "").split("\n\n")[0]
        words = f"`{found[1]}`: {' '.join(first.split())} {words}"
    return words.strip().replace("``", "`") + "\n"


def _plain(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _table(keys: list[Key]) -> str:
    rows = ["| key | accepted values | default | meaning, with its unit |", "| --- | --- | --- | --- |"]
    for key in keys:
        default = {"": "", "???": "none: required"}.get(key.default, f"`{_cell(key.default)}`")
        meaning = re.sub(r"docs/([\w/-]+)\.md", r"[\1](../\1.md)", _cell(key.meaning))
        rows.append(f"| `{key.name}` | {_cell(key.kind)} | {default} | {meaning} |")
    return "\n".join([*rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference())
