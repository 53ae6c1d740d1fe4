"""The wheel: that it holds all files of the package, and that its three programs work away from the checkout."""

import os
import site
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from dreaming import __version__

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("stage.draw.scene.frames=4", "stage.draw.scene.height=48", "stage.draw.scene.width=64", "threads=1")

pytestmark = pytest.mark.slow


def ended(command, folder):
    # Neither the checkout nor what this test runs under may stand in for the installed package.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    ended([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], folder)
    (built,) = folder.glob("*.whl")
    return built


def files(folder, suffix):
    return {
        f"dreaming/share/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob(f"*{suffix}") if path.is_file()
    }


def test_the_wheel_holds_all_files_of_the_package_and_the_config(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert files("conf", ".yaml") <= names
    assert files("experiments", ".yaml") <= names
    assert files("docs", ".*") <= names, "errors name sections of a page, which links to others"
    kinds = {path.suffix for path in (ROOT / "dreaming").rglob("*") if path.is_file()} - {".pyc"}
    assert {".py", ".j2", ".html", ".css", ".js"} <= kinds
    for kind in kinds:
        assert {str(path.relative_to(ROOT)) for path in (ROOT / "dreaming").rglob(f"*{kind}")} <= names
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


def test_the_wheel_has_the_version_and_the_licence_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        facts = Parser().parsestr(archive.read(f"dreaming-{__version__}.dist-info/METADATA").decode())
        licence = archive.read(f"dreaming-{__version__}.dist-info/licenses/LICENSE").decode()
    assert (facts["Version"], facts["License-Expression"]) == (__version__, "MIT")
    assert licence == (ROOT / "LICENSE").read_text()


def test_an_installed_wheel_works_in_another_folder(wheel, tmp_path):
    place = tmp_path / "venv"
    ended([sys.executable, "-m", "venv", "--without-pip", place], tmp_path)
    packages = next((place / "lib").glob("python*/site-packages"))
    python = place / "bin" / "python"
    ended([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel], tmp_path)
    # The libraries are those of the environment that runs the tests; the wheel's own package comes before them.
    libraries = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    where = ended([python, "-c", "import dreaming; print(dreaming.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(packages)
    programs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert len(programs) == 3
    for name in programs:
        assert ended([place / "bin" / name, "--version"], tmp_path) == f"dreaming {__version__}\n"
        assert ended([place / "bin" / name, "--help"], tmp_path)
    assert "StyleTask" in ended([place / "bin" / "dreaming-train", "--cfg", "job", "model=style"], tmp_path)
    works_in(tmp_path, [place / "bin" / "dreaming"])


def test_the_editable_install_works_in_another_folder(tmp_path):
    works_in(tmp_path, [Path(sys.executable).parent / "dreaming"])


def works_in(folder, dreaming):
    assert "clip: ???" in ended([*dreaming, "--cfg", "job"], folder)
    assert "- draw" in ended([*dreaming, "--cfg", "job", "experiments=demo", "clip=x"], folder)
    ended([*dreaming, "clip=demo", "stages=[draw,extract]", *SMALL], folder)
    assert [path.name for path in sorted((folder / "demo" / "frames").glob("*.png"))] == [
        "0001.png",
        "0002.png",
        "0003.png",
        "0004.png",
    ]
