"""README and docs/: commands, settings and files exist, README is short, and the example of a masker works."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dreaming.cli.config import config_root, register_resolvers

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
}
TEXT = re.sub(r"\\\n\s+", "", "\n".join(PAGES.values()))  # long commands on one line
BLOCK = re.compile(r"^`([\w/]+\.\w+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^(?:    )?|`)(dreaming|dreaming-train|python train\.py) (?=\S*=|-)([^`\n]*)", re.MULTILINE)
COMMENTED = re.compile(
    r"^(?: {4})?(?:dreaming\S*|make|source|python|pip|pytest|ffmpeg|wandb|\S+/run) .*\s#.*", re.MULTILINE
)
SETTING = re.compile(r"`([^`\n]*=[^`]*)`")


def choices(group):
    return ",".join(path.stem for path in sorted((ROOT / "conf" / group).glob("*.yaml")))


@pytest.fixture(scope="module")
def configs():
    """The configs whose keys the documentation may name."""
    register_resolvers()
    every = [f"masker=[{choices('masker')}]", f"guide=[{choices('guide')}]", "trainer=gpu"]
    programs = [("dream", every), ("train", ["model=cnn"]), ("train", ["sweep=unet", "hydra.mode=MULTIRUN"])]
    with initialize_config_dir(str(config_root() / "conf")):
        yield [compose(name, ["clip=x", *more], return_hydra_config=len(more) == 2) for name, more in programs]


def exists(configs, word):
    """Whether a program takes an override: a choice of a group's file, or a value of a key."""
    key, _, value = word.partition("=")
    if re.match(r"\+?hydra(/|\.launcher)", key):
        return True  # an option of Hydra or of a plugin that the tests do not need
    group = ROOT / "conf" / re.sub(r"^[+~]*([\w/]+)(@.*)?$", r"\1", key)
    if group.is_dir():
        return all((group / f"{choice}.yaml").exists() for choice in value.strip("[]").split(",") if choice)
    parent, _, name = key.rpartition(".")
    nodes = [OmegaConf.select(config, parent) if parent else config for config in configs]
    return key == "experiments" or any(node is not None and name in list(node) for node in nodes)


def missing(configs, words, program="dream"):
    """The overrides that a program does not take, of those that are given together."""
    found = [word for word in words if not exists(configs, word)]
    if found and any(re.match(r"\+\w+@", word) for word in words):  # it adds what the others refer to
        compose(program, ["clip=x", *(word for word in words if not word.startswith("clip="))])
        return []
    return found


def commands():
    for program, rest in COMMAND.findall(TEXT):
        words = shlex.split(rest)
        if "trusted_packages" not in rest:  # tests/cli/test_overrides.py runs that one
            yield "dream" if program == "dreaming" else "train", [word for word in words if "=" in word]


def test_every_command_is_one_that_the_programs_take(configs):
    found = list(commands())
    assert len(found) > 25
    for program, words in found:
        assert missing(configs, words, program) == [], program


def test_commands_have_no_comments_which_zsh_takes_for_arguments():
    texts = {**PAGES, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
    assert {name: found for name, text in texts.items() if (found := COMMENTED.findall(text))} == {}


def settings():
    for text in SETTING.findall(TEXT):
        words = shlex.split(text)
        if re.match(r"[+~]*[a-z][\w.@/]*=", words[0]) and "red" not in text:
            yield words


def test_every_setting_in_the_text_exists(configs):
    found = list(settings())
    assert len(found) > 60
    assert [word for words in found for word in missing(configs, words)] == []


def test_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 120


def test_the_commands_of_readme_are_run_by_the_test_of_the_tutorial_and_by_ci():
    # tests/end_to_end/test_tutorials.py runs the blocks of the tutorial.
    indented = re.findall(r"^    (\S.*)$", PAGES["README.md"], re.MULTILINE)
    given = [line for line in indented if line.startswith("dreaming clip=clips/")]
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGES["docs/tutorials/artists.md"], re.MULTILINE | re.DOTALL)
    assert len(given) == 2
    assert [line for line in given if line not in "".join(blocks).splitlines()] == []
    assert {"make demo", "source .venv/bin/activate"} <= set(indented)
    assert "make demo" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_links_of_readme_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES["README.md"])
    assert len(links) > 15
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_notebook_example_is_the_one_that_is_tested():
    tested = (ROOT / "tests" / "end_to_end" / "test_notebook.py").read_text()
    example = tested.split("end of the example.\n")[1].split("    # End of the example.")[0]
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert ast.dump(ast.parse(textwrap.dedent(example))) in [ast.dump(ast.parse(block)) for block in blocks]


def test_the_stage_example_runs(disc_clip):
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "MaskStage" in code)
    drawing = disc_clip()
    exec(code.replace("clips/drawn", str(drawing.path)), {})  # noqa: S102 -- the code of the page
    assert drawing.clip.masks("subject", "threshold").stems == drawing.stems


@pytest.fixture
def checkout(tmp_path):
    """A copy of the repository with the files that the tutorial shows."""
    path = tmp_path / "checkout"
    for name in ("dreaming", "conf", "experiments"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "tests" / "maskers").mkdir(parents=True)
    for name in ("train.py", "pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, path / name)
    for name, text in BLOCK.findall(TEXT):
        if name.startswith("my_"):
            continue  # of a user's own package, which tests/end_to_end/test_tutorials.py trains
        assert not (path / name).exists(), "an example must not replace a file"
        (path / name).write_text(text)
    return path


def python(checkout, *arguments):
    environment = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PATH": "", "HOME": str(checkout)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_is_short():
    blocks = {name: text for name, text in BLOCK.findall(TEXT) if not name.startswith("my_")}
    assert set(blocks) == {"dreaming/maskers/red.py", "conf/masker/red.yaml", "tests/maskers/test_red.py"}
    assert len(blocks["dreaming/maskers/red.py"].splitlines()) < 30


@pytest.mark.slow
def test_the_example_passes_its_test_and_masks_a_clip(checkout, disc_clip):
    python(checkout, "pytest", "-q", "tests/maskers/test_red.py")
    drawing = disc_clip(masks=(1, 8))
    python(checkout, "dreaming", f"clip={drawing.path}", "stages=[mask]", "masker=red", "threads=1", "logger=csv")
    assert drawing.clip.masks("subject", "red").stems == drawing.stems
