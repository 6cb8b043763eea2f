"""The wheel is whole: it works from another folder, with the registries inside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel of this tree was installed into, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


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
