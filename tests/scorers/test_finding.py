"""Models from files and modules: found by what is written, and every failure told by name."""

import sys
from pathlib import Path

import pytest

from xbench.errors import ModelError, UsageError
from xbench.scorers.catalog import Model, ModelRequest, resolve

COLOURS = Path(__file__).resolve().parent.parent / "plugin" / "xbench_colours" / "__init__.py"


def build(request: ModelRequest) -> Model:
    return resolve(request).build()


@pytest.fixture(autouse=True)
def path_as_before(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def write(folder: Path, code: str, name: str = "mine.py") -> Path:
    (folder / name).write_text(code)
    return folder / name


def test_a_checkpoint_may_be_a_hub_id_where_a_model_takes_one(tmp_path):
    resolve(ModelRequest("hf", checkpoint=Path("google/siglip2-base-patch16-224")))
    path = write(tmp_path, "class Model:\n  def __init__(self, checkpoint): pass")
    resolve(ModelRequest(f"{path}:Model", checkpoint=Path("someone/their-model")))
    for name in ("xclip", "clip4clip"):
        with pytest.raises(ModelError, match="There is no file"):
            resolve(ModelRequest(name, checkpoint=Path("someone/their-model")))


def test_a_class_in_a_file_is_built_with_its_arguments():
    scorer = build(ModelRequest(f"{COLOURS}:Colours", args={"grey": "0.25", "frames": "2"}, device="cpu"))
    assert scorer.settings == {"grey": 0.25, "frames": 2, "device": "cpu"}


@pytest.mark.parametrize(("asked", "given"), [(None, "fp32"), ("fp32", "fp32"), ("bf16", "bf16")])
def test_a_model_that_must_be_told_its_precision_is(tmp_path, asked, given):
    path = write(
        tmp_path,
        "import runpy\n"
        f"Colours = runpy.run_path({str(COLOURS)!r})['Colours']\n"
        "class Model(Colours):\n"
        "    def __init__(self, precision):\n"
        "        super().__init__()\n"
        "        self.settings = {'precision': precision}\n",
    )
    assert build(ModelRequest(f"{path}:Model", precision=asked)).settings == {"precision": given}


def test_the_protocols_frames_are_offered_and_the_users_win():
    assert build(ModelRequest(f"{COLOURS}:Colours", frames=64)).video_input.max_frames == 64
    request = ModelRequest(f"{COLOURS}:Colours", frames=64, args={"frames": "3"})
    assert build(request).video_input.max_frames == 3


def test_a_module_of_the_working_folder_is_found_after_everything_installed(tmp_path, monkeypatch):
    write(tmp_path, COLOURS.read_text(), "some_research_model.py")
    write(tmp_path, "raise RuntimeError('shadowed')", "numpy.py")
    monkeypatch.chdir(tmp_path)
    assert build(ModelRequest("some_research_model:Colours")).name == "colours"
    assert sys.path[-1] == str(tmp_path)


def test_a_file_may_import_its_neighbour(tmp_path):
    write(tmp_path, COLOURS.read_text(), "a_neighbour_of_mine.py")
    path = write(tmp_path, "from a_neighbour_of_mine import Colours as Mine")
    assert build(ModelRequest(f"{path}:Mine")).name == "colours"


def test_a_file_that_changed_is_read_again(tmp_path):
    path = write(tmp_path, COLOURS.read_text())
    build(ModelRequest(f"{path}:Colours"))
    write(tmp_path, COLOURS.read_text().replace('name = "colours"', 'name = "other"'))
    assert build(ModelRequest(f"{path}:Colours")).name == "other"


@pytest.mark.parametrize(
    ("code", "reference", "error", "said"),
    [
        ("", "absent.py:Model", UsageError, "There is no file"),
        ("", "mine.py", UsageError, r"names no class: write .*mine\.py:Class"),
        ("class Modell: pass", "mine.py:Model", UsageError, "no 'Model'. Did you mean 'Modell'"),
        ("Model = 3", "mine.py:Model", UsageError, "is a int: name a class or function"),
        ("x = 1\nx.y", "mine.py:Model", ModelError, r"AttributeError: .*mine\.py, line 2\)"),
        ("def (", "mine.py:Model", ModelError, "SyntaxError"),
        ("import nowhere_to_be_found", "mine.py:Model", ModelError, "nowhere_to_be_found"),
        ("class Model:\n  def __init__(self):\n    1 / 0", "mine.py:Model", ModelError, r"ZeroDiv.*line 3\)"),
        ("class Model: pass", "mine.py:Model", ModelError, "lacks name, video_input.*encode_texts"),
    ],
)
def test_a_file_that_gives_no_scorer_is_told(tmp_path, code, reference, error, said):
    write(tmp_path, code)
    with pytest.raises(error, match=said):
        build(ModelRequest(str(tmp_path / reference)))


def test_a_module_that_is_not_there_is_told_apart_from_one_that_needs_what_is_not_there(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "import nowhere_to_be_found", "needs_something.py")
    with pytest.raises(UsageError, match=r"There is no module 'not_there_at_all\.model'"):
        build(ModelRequest("not_there_at_all.model:Model"))
    with pytest.raises(ModelError, match="nowhere_to_be_found"):
        build(ModelRequest("needs_something:Model"))


def test_what_cannot_be_built_is_known_before_any_data_is_read(tmp_path):
    path = write(tmp_path, "class Model:\n  def __init__(self, depth):\n    1 / 0")
    with pytest.raises(UsageError, match="needs --model-args depth="):
        resolve(ModelRequest(f"{path}:Model"))
    resolve(ModelRequest(f"{path}:Model", args={"depth": "2"}))  # looked at, not built
