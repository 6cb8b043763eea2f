"""Install xbench as a user does, with the lowest or newest versions of what it needs, and see that it works.

python -m tools.dependencies lowest                    # the oldest versions that pyproject.toml allows
python -m tools.dependencies newest --python python3.14
python -m tools.dependencies newest --sdist --extras   # built from the source archive, with all extras

Each makes an environment of its own in a temporary folder, runs the demo with what was installed there, then
the smoke tests of this checkout with those versions. Needs `uv` and a package index.
"""

import email
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
_TOOLS = ("pytest", "pytest-xdist", "hypothesis", "hatchling")
SMOKE = (
    "tests/test_command_line.py",
    "tests/test_readers.py",
    "tests/test_storage.py",
    "tests/api/test_api.py",
    "tests/data/test_bad_files.py",
    "tests/data/test_hub_layouts.py",
    "tests/engine",
    "tests/metrics/test_ranking.py",
    "tests/pipeline/test_run.py",
    "tests/pipeline/test_features.py",
    "tests/reports/test_store.py",
    "tests/reports/test_leaderboard.py",
    "tests/scorers/test_xclip_golden.py",
    "tests/scorers/test_hf.py",
    "tests/video/test_golden_frames.py",
)


@click.command()
@click.argument("versions", type=click.Choice(["lowest", "newest"]))
@click.option(
    "--python", default=sys.executable, show_default="this one", help="Interpreter to install into."
)
@click.option("--sdist", is_flag=True, help="Build the wheel from the source archive, not from the checkout.")
@click.option("--extras", is_flag=True, help="Install all extras, too.")
@click.option("--tests/--no-tests", default=True, help="Run the smoke tests after the demo.")
def main(versions: str, python: str, *, sdist: bool, extras: bool, tests: bool) -> None:
    """Install xbench with the lowest or newest versions of what it needs, and see that it works."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        wheel = build(made / "dist", from_sdist=sdist)
        place = environment(made / "environment", wheel, versions, python, extras=extras)
        _run([place / "xbench", "--version"], made)
        _run([place / "xbench", "doctor"], made)
        demo = ("run", "--model", "xclip", "--dataset", "didemo", "--miniature", "--output", "demo")
        _run([place / "xbench", *demo, "--cache-dir", "cache"], made)
        if tests:
            _uv("pip", "freeze", "--python", place / "python", into=made / "installed.txt")
            _uv("pip", "install", "--python", place / "python", "-c", made / "installed.txt", *_TOOLS)
            _run([place / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *SMOKE], ROOT)


def build(folder: Path, *, from_sdist: bool) -> Path:
    """Build the wheel, through the source archive where that is asked for."""
    _uv("build", "--out-dir", folder, *([] if from_sdist else ["--wheel"]), ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path, versions: str, python: str, *, extras: bool) -> Path:
    """Install the wheel into a new environment; return where its programs are."""
    place = folder / "bin"
    _uv("venv", "--python", python, folder)
    wanted = f"xbench[{','.join(extras_of(wheel))}] @ {wheel.as_uri()}" if extras else str(wheel)
    if versions == "lowest":  # of what xbench asks for; what that asks for in turn is as new as it allows
        chosen = folder / "lowest.txt"
        lowest = ("--resolution", "lowest-direct", "--only-binary", ":all:", "--python", place / "python")
        _uv("pip", "compile", "--quiet", *lowest, "--output-file", chosen, ROOT / "pyproject.toml")
        _uv("pip", "install", "--python", place / "python", "-r", chosen)
    _uv("pip", "install", "--python", place / "python", "--only-binary", ":all:", wanted)
    _uv("pip", "check", "--python", place / "python")
    return place


def extras_of(wheel: Path) -> list[str]:
    """The extras that a wheel announces."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name)).get_all("Provides-Extra", [])


def _uv(*arguments: object, into: Path | None = None) -> None:
    command = ["uv", *map(str, arguments)]
    if into is None:
        _run(command, ROOT)
    else:
        into.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)


def _run(command: list[object], folder: Path) -> None:
    click.echo(f"$ {' '.join(map(str, command))}", err=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=clean | {"OMP_NUM_THREADS": "1"}, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
