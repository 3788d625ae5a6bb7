"""The house: imports run one way, importing touches nothing, rooms stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gammax

SOURCE = Path(gammax.__file__).parent
# the journey; a room imports only from rooms to its left
ORDER = (
    "errors",
    "units",
    "_versions",
    "_paths",
    "_regions",
    "_cache",
    "_fits",
    "_yaml",
    "_config",
    "maps",
    "irf",
    "data",
    "stats",
    "models",
    "folding",
    "datasets",
    "likelihood",
    "fit",
    "makers",
    "simulate",
    "estimators",
    "plot",
    "analysis",
    "cli",
)
HOST_ROOMS = ("maps", "irf", "data", "datasets", "makers", "simulate")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST):
    """Rooms that a file imports, outside blocks that only type checkers read."""
    checked = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gammax."):
            yield node.module.split(".")[1], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "gammax":
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in ORDER)
        elif isinstance(node, ast.Import):
            yield from ((a.name.split(".")[1], node.lineno) for a in node.names if a.name.startswith("gammax."))


def backward_imports() -> list[str]:
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        room = room_of(path)
        if room == "__init__":
            continue
        for other, line in imported_rooms(ast.parse(path.read_text())):
            if other != room and ORDER.index(other) > ORDER.index(room):
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {other}")
    return wrong


def test_every_room_has_a_place_in_the_journey():
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - {"__init__"}
    assert rooms <= set(ORDER)


def test_imports_run_one_way():
    assert backward_imports() == []


def test_the_import_test_sees_imports():
    found = set(imported_rooms(ast.parse("from gammax.fit import Fit\nimport gammax.plot\nfrom gammax import cli")))
    assert found == {("fit", 1), ("plot", 2), ("cli", 3)}


def test_rooms_stay_small():
    lines = {path: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {str(path): n for path, n in lines.items() if n > 400} == {}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_touches_no_device_no_setting_no_network():
    code = """
import socket
def refuse(*args, **kwargs): raise AssertionError("network")
socket.socket.connect = refuse
import gammax, gammax.models, gammax.likelihood, gammax.fit, gammax.estimators, gammax.analysis, gammax.plot
import jax
from jax._src import xla_bridge
print(jax.config.jax_enable_x64, len(xla_bridge._backends))
"""
    assert run(code) == "False 0"


@pytest.mark.parametrize("room", HOST_ROOMS)
def test_host_rooms_import_no_jax(room):
    assert run(f"import sys, gammax.{room}; print('jax' in sys.modules)") == "False"


def test_a_likelihood_in_32_bits_is_refused():
    code = """
from gammax._config import require_x64
try:
    require_x64()
except Exception as error:
    print(type(error).__name__, error.code)
"""
    assert run(code) == "FitError GX-FIT-001"
