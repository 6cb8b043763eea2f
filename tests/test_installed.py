"""The wheel is whole: it works from another folder, with the registries inside. So is the source archive."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import xbench

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel of this tree was installed into, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build("wheel", ROOT, folder)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def build(what: str, source: Path, folder: Path) -> Path:
    """Build the wheel or source archive of a tree into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", what, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = folder.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return made


def run(site: Path, code: str) -> str:
    """Run Python in an empty folder, with the installed wheel before the checkout."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"]
    done = subprocess.run(command, cwd=site.parent, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_wheel_brings_the_registries_and_the_published_numbers(site: Path) -> None:
    output = run(
        site,
        "import json, xbench\n"
        "from xbench.registry import shipped\n"
        "from xbench.registry.datasets import benchmarks\n"
        "from xbench.registry.checkpoints import checkpoints\n"
        "from xbench.reports.published.claims import published_rows\n"
        "names = ['datasets.yaml', 'checkpoints.yaml', 'results/published.csv']\n"
        "checkpoints()\n"
        "print(json.dumps([xbench.__file__, [str(shipped(n)) for n in names], len(benchmarks()),"
        " len(published_rows(benchmark='msrvtt')) > 10]))",
    )
    package, files, benchmarks, published = json.loads(output)
    assert Path(package).is_relative_to(site)
    assert all(Path(file).is_relative_to(site) for file in files)
    assert benchmarks == 5
    assert published


def test_the_wheel_brings_the_templates_of_the_pages(site: Path) -> None:
    output = run(
        site,
        "from xbench.reports.board.formats import render_html\n"
        "from xbench.reports.page.charts import bar_chart\n"
        "print(bar_chart('a', ['1'], [('b', [1.0])], 'c'), render_html([], '2026-01-02'))",
    )
    assert output.startswith("<svg ")
    assert "</html>" in output


def test_the_command_line_of_the_wheel_answers(site: Path) -> None:
    output = run(site, "from xbench.cli import main\nmain(['--version'])")
    assert output.startswith("xbench, version ")


def test_the_source_archive_builds_the_same_wheel(site: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (whole,) = site.parent.glob("*.whl")
    assert contents(build("wheel", source, tmp_path)) == contents(whole)
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt", "Makefile"):
        assert (source / name).is_file(), name


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_version_is_told_in_one_place(site: Path) -> None:
    (wheel,) = site.parent.glob("*.whl")
    assert wheel.name.startswith(f"xbench-{xbench.__version__}-")
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [xbench.__version__]
    assert f"\n## {xbench.__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_without_its_extras_every_command_can_be_asked_for_help() -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'ray', 'open_clip', 'mkdocs', 'cv2', 'pytest'}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import xbench.api\n"
        "from xbench.cli import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    try:\n"
        "        main([name, '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_xbench_loads_the_standard_library_alone() -> None:
    code = "import sys; before = set(sys.modules); import xbench; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "xbench" in loaded
    assert loaded - sys.stdlib_module_names == {"xbench"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["diff", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from xbench.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'pandas', 'numpy', 'av', 'pydantic'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
