"""docs/ARCHITECTURE.md names every package, in import order, and only modules that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dreaming"
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()


def section(title):
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def listed():
    """The packages and modules in the first column of the table of packages."""
    rows = re.findall(r"^\| (`.*?) \|", section("Packages"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_the_packages_are_those_of_the_tree():
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert len(listed()) == len(set(listed()))
    assert set(listed()) == packages | modules


def test_packages_are_listed_in_import_order():
    names = listed()
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own not in names:
            continue
        for other in set(re.findall(r"^\s*(?:from|import) dreaming\.(\w+)", path.read_text(), re.MULTILINE)) - {own}:
            assert names.index(other) < names.index(own), f"{path} imports {other}"


def test_named_modules_exist():
    named = set(re.findall(rf"(?<![\w/])((?:{'|'.join(listed())})/\w+)", TEXT.split("| file in the clip folder")[0]))
    for line in section("Files on disk").splitlines():
        if line.startswith("| `"):
            named |= set(re.findall(r"`(\w+/\w+)`", line.split("|")[2]))
    folders = {"guides/propagated"} & named
    missing = [name for name in named - folders if not (PACKAGE / f"{name}.py").exists()]
    assert len(named) > 30
    assert not missing
