"""Every benchmark can be imported and explains itself with --help."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = (Path(__file__).resolve().parents[1] / "benchmarks").glob("*.py")
NAMES = sorted(path.stem for path in SCRIPTS if "__main__" in path.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_usage(name, monkeypatch, capsys):
    module = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage:")
    assert module.__doc__.splitlines()[0] in printed.replace("\n", " ")
