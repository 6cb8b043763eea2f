"""Imports run one way: cli -> pipeline -> stages; among the stages only the edges that are named here."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "xbench"
STAGES = {"data", "miniature", "video", "scorers", "engine", "metrics", "reports"}
GROUND = {
    "errors",
    "interruption",
    "progress",
    "readers",
    "sampling",
    "shown",
    "storage",
    "streams",
    "terms",
    "version",
}
LEAVES = GROUND | {"registry"}
ALLOWED = {
    "data": LEAVES,
    "miniature": LEAVES | {"data"},
    "video": LEAVES,
    "scorers": LEAVES | {"metrics"},
    "metrics": LEAVES,
    "engine": LEAVES | {"scorers.base", "metrics"},
    "reports": LEAVES | {"metrics"},
    "registry": GROUND,
    "pools": GROUND,
    "pipeline": LEAVES | STAGES | {"pools"},
    "api": LEAVES | STAGES | {"pipeline"},
    "cli": LEAVES | STAGES | {"pipeline"},
}
LIGHT = {"cli", "errors", "interruption", "shown", "streams", "terms", "version"}
HEAVY = {"torch", "transformers", "pandas", "datasets", "av", "scipy", "PIL", "numpy", "pydantic", "yaml"}


def imports(path: Path) -> set[str]:
    """The modules that a file imports anywhere in it, below `xbench.` without that prefix."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            if node.module == "xbench":
                found |= {f"xbench.{alias.name}" for alias in node.names}
    return {name.removeprefix("xbench.") for name in found if name.startswith("xbench.")}


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_imports_only_what_the_design_allows(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            allowed = name.split(".")[0] == part or any(
                name == edge or name.startswith(f"{edge}.") for edge in ALLOWED[part]
            )
            assert allowed, f"{path.relative_to(PACKAGE.parent)} imports xbench.{name}"


ROOMS_OF_REPORTS = {  # which may import which, and all of them what stands beside the rooms
    "record": set(),
    "published": {"record"},
    "compare": {"record"},
    "page": {"record", "compare"},
    "check": {"record", "compare", "published"},
    "board": {"record", "compare", "published"},
}


@pytest.mark.parametrize("room", ROOMS_OF_REPORTS)
def test_the_rooms_of_the_reports_import_one_way(room: str) -> None:
    allowed = ROOMS_OF_REPORTS[room] | {room, "latex", "pages", "printing"}
    files = sorted((PACKAGE / "reports" / room).glob("*.py"))
    assert files
    for path in files:
        inside = {name.split(".")[1] for name in imports(path) if name.startswith("reports.")}
        assert inside <= allowed, f"{path.relative_to(PACKAGE.parent)} imports {inside - allowed}"


LONGEST_FUNCTION = 40
LONG_BY_NATURE = {  # signatures that name every option once, with its type
    "api.running.run",
    "cli.cache.list_features",
    "cli.leaderboard.command",
    "engine.encoding.encode",
}


def test_every_function_fits_in_a_head() -> None:
    long = {}
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long[f"{module}.{node.name}"] = lines
    assert long.keys() <= LONG_BY_NATURE, long


LOADED_LATE = {
    "datasets_text",
    "models_text",
    "printing",
}  # by a command, once its options are known to be well-formed
COMMANDS = sorted(path for path in (PACKAGE / "cli").glob("*.py") if path.stem not in LOADED_LATE)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_import_nothing_heavy_at_their_top(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            assert root not in HEAVY
            assert root != "xbench" or name == "xbench.pipeline.options" or name.split(".")[1] in LIGHT, name
