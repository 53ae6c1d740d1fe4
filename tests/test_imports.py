"""Imports run one way between packages, and unsafe calls occur nowhere."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "dreaming"
MODULES = sorted(PACKAGE.rglob("*.py"))
LEVELS = [
    {"errors", "progress", "constraints", "interruption"},
    {"io"},
    {"artifacts"},
    {"video"},
    {"clip", "imaging", "imports", "networks", "demo", "losses"},
    {"flow", "training"},
    {"features", "guides", "matting", "metrics", "strokes"},
    {"data"},
    {"models"},
    {"maskers"},
    {"stages", "sweep"},
    {"live"},
    {"upkeep"},
    {"instantiation", "ui"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def room_of(module):
    """The room of ``dreaming.clip.clip`` is ``clip``; the package itself belongs to none."""
    parts = module.split(".")
    return parts[1] if parts[0] == "dreaming" and len(parts) > 1 else None


def imported(source):
    """Names of the modules that a module's text imports; at any depth, those for type checking too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uphill(importer, source):
    """The rooms that a module of room ``importer`` imports and must not."""
    rooms = {room_of(name) for name in imported(source)} - {None, importer}
    unknown = rooms - LEVEL.keys() - {"__version__"}
    assert not unknown, f"packages without a level: {unknown}"
    return {room for room in rooms & LEVEL.keys() if not downhill(importer, room)}


def downhill(importer, room):
    return LEVEL[room] < LEVEL[importer]


def test_imports_run_one_way():
    wrong = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts == ("__init__",):
            assert not list(imported(path.read_text())), "the package's own module is a docstring"
            continue
        assert parts[0] in LEVEL, f"{parts[0]} is no package of docs/ARCHITECTURE.md"
        wrong += [(str(path), package) for package in uphill(parts[0], path.read_text())]
    assert not wrong


def test_the_check_can_fail():
    assert uphill("io", "from dreaming.models import fit") == {"models"}
    assert uphill("io", "def f():\n    import dreaming.networks.unet") == {"networks"}
    assert uphill("losses", "from dreaming import metrics") == {"metrics"}
    assert uphill("stages", "from dreaming.sweep.study import ask") == {"sweep"}
    assert uphill("errors", "from dreaming.progress import bar") == {"progress"}
    assert not uphill("cli", "from dreaming.stages.order import run")
    assert not uphill("metrics", "from dreaming.io.types import Mask")


def test_networks_and_losses_know_no_trainer():
    for room in ("io", "clip", "imaging", "flow", "networks", "losses"):
        for path in (PACKAGE / room).glob("*.py"):
            found = {name.split(".")[0] for name in imported(path.read_text())}
            assert not found & {"pytorch_lightning", "hydra", "omegaconf", "wandb"}, path


def test_only_programs_and_sweeps_see_the_config():
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in ("cli", "instantiation", "sweep", "__main__.py"):
            assert not {name.split(".")[0] for name in imported(path.read_text())} & {"hydra", "omegaconf"}, path


def test_no_module_needs_posix():
    for path in MODULES:
        found = {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
        assert not found & {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}, path


def test_no_dumping_grounds():
    words = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in MODULES if words & {path.stem, *path.relative_to(PACKAGE).parts}]


def dangers(source):
    """Calls by which data could run code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name, keywords = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name in ("eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"):
            yield name
        if name.split(".")[-1] in ("load", "loads") and name.split(".")[0] in ("pickle", "joblib", "dill"):
            yield name
        if name == "torch.load" and keywords.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if name.endswith("load_from_checkpoint") and keywords.get("weights_only") != "True":
            yield "load_from_checkpoint without weights_only=True"
        if keywords.get("shell", "False") != "False":
            yield "shell=True"
        if keywords.get("allow_pickle", "False") != "False":
            yield "allow_pickle=True"


def test_no_data_runs_code():
    assert not [(str(path), danger) for path in MODULES for danger in dangers(path.read_text())]


def test_the_check_for_dangers_can_fail():
    found = list(dangers("eval('1')\ntorch.load(p)\nsubprocess.run(c, shell=True)\ntorch.load(p, weights_only=True)"))
    assert found == ["eval", "torch.load without weights_only=True", "shell=True"]
    assert not list(dangers("module.eval()\nre.compile('a')\njson.load(f)"))
