"""LICENSE, CITATION.cff, CHANGELOG.md and the configuration of CI and pre-commit agree with the package."""

import ast
import re
import tomllib
from pathlib import Path

import yaml

from dreaming import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAPER = re.compile(
    # Texler et al. 2020 | Bridson, SIGGRAPH 2007 | (Brox and Malik, "Title", TPAMI 2011) | He et al., "Title" (2013)
    r"([A-Z][\w-]+)(?: et al\.|(?:, [A-Z]\w+)*(?: and| &) (?:[a-zV]\w+ )*[A-Z]\w+)?"
    r"(?:,? \(?|, (?:\"[^\"]+\",? )?(?:[A-Z]{2}[\w ]* )?\(?)((?:19[6-9]|20[0-2])\d)\b"
)
NO_AUTHORS = {"The", "In", "DAVIS", "SIGGRAPH", "IJCV"}


def docstrings(path):
    source = path.read_text(encoding="utf-8")
    if not re.search(r"\b(?:19|20)\d\d\b", source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield re.sub(r"\s+", " ", text)


def papers(text):
    """The first author and the year of each paper that a docstring names."""
    return {(name, int(year)) for name, year in PAPER.findall(text) if name not in NO_AUTHORS}


def test_the_citation_lists_the_papers_that_docstrings_name():
    found = [papers(text) for path in (ROOT / "dreaming").rglob("*.py") for text in docstrings(path)]
    named = set().union(*found)
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    first = {(each["authors"][0]["family-names"], each["year"]) for each in references}
    assert named == first


def test_papers_are_found_in_docstrings():
    text = 'Texler et al. 2020, or (Brox and Malik, "Flow", TPAMI 2011); Bridson, SIGGRAPH 2007. As in DAVIS 2017.'
    assert papers(text) == {("Texler", 2020), ("Brox", 2011), ("Bridson", 2007)}


def test_the_newest_entry_of_the_changelog_is_the_version():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == __version__


def test_the_licence_is_mit():
    assert PROJECT["license"] == yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def pinned(package):
    (version,) = re.findall(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return version


def test_pre_commit_runs_the_ruff_that_ci_runs():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["rev"] == f"v{pinned('ruff')}"
    assert {hook["id"] for hook in repository["hooks"]} == {"ruff-check", "ruff-format"}


def test_ci_runs_all_checks_on_the_versions_of_python_that_the_package_accepts():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    versions = jobs["linux"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert [f"Programming Language :: Python :: {version}" for version in versions] == [
        text for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)
    ]
    assert ".ci/run" in [step.get("run") for step in jobs["linux"]["steps"]]
    assert set(jobs["other"]["strategy"]["matrix"]["os"]) == {"macos-latest", "windows-latest"}


def test_the_fast_job_names_folders_and_modules_of_the_tests():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    named = re.findall(r"tests/\S+", " ".join(step.get("run", "") for step in jobs["other"]["steps"]))
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_contributing_names_existing_files():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:dreaming|conf|tests|docs|benchmarks|experiments)/[\w/.]*\w)`", text)
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]
