"""The wheel: that it holds the config, and that what is installed from it works away from the checkout."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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
    return {f"dreaming/share/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob(f"*{suffix}")}


def test_the_wheel_holds_code_config_experiments_and_template(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert files("conf", ".yaml") <= names
    assert files("experiments", ".yaml") <= names
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "dreaming").rglob("*.py")} <= names
    assert "dreaming/stages/report.html.j2" in names
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


def test_an_installed_wheel_works_in_another_folder(wheel, tmp_path):
    place = tmp_path / "venv"
    ended([sys.executable, "-m", "venv", "--without-pip", place], tmp_path)
    packages = next((place / "lib").glob("python*/site-packages"))
    ended([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, wheel], tmp_path)
    # The libraries are those of the environment that runs the tests; the wheel's own package comes before them.
    libraries = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    python = place / "bin" / "python"
    where = ended([python, "-c", "import dreaming; print(dreaming.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(packages)
    works_in(tmp_path, [python, packages / "bin" / "dreaming"])


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
