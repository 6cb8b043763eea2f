"""checkpoints.yaml: the shipped one, a user's layered over it, and faults with file, key and line."""

import hashlib
import sys
from pathlib import Path

import pytest

from xbench.errors import ModelError, UsageError
from xbench.registry.checkpoints import checkpoints, user_file
from xbench.reports.published.claims import published_rows
from xbench.scorers.catalog import ModelRequest, resolve

MINE = """\
checkpoints:
  mine:
    scorer: clip4clip
    file: weights/pytorch_model.bin.4
    settings:
      words: 8
      frames: 4
      precision: bf16
      bpe: words.txt.gz
    licence: MIT
    reproduces:
      model: CLIP4Clip-meanP
      benchmark: didemo
"""
REPLACED = """\
checkpoints:
  clip-vit-b-32:
    scorer: xclip-zeroshot
    clip: ViT-B/32
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    """An empty working folder, and no variable set."""
    monkeypatch.delenv("XBENCH_CHECKPOINTS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def write(text: str) -> None:
    Path("checkpoints.yaml").write_text(text)


def weights() -> str:
    """Put files where the entry `mine` says; return the sha256 of its weights."""
    Path("words.txt.gz").write_bytes(b"words")
    Path("own.gz").write_bytes(b"words")
    Path("weights").mkdir()
    Path("weights/pytorch_model.bin.4").write_bytes(b"weights")
    return hashlib.sha256(b"weights").hexdigest()


def test_every_shipped_entry_names_a_scorer_a_licence_and_a_source():
    for name, entry in checkpoints().checkpoints.items():
        assert entry.licence, name
        assert entry.source.startswith("https://"), name
        if entry.clip is not None:
            assert entry.clip in checkpoints().clip
        if entry.by_hand is None:
            resolve(ModelRequest(name))
        else:
            with pytest.raises(ModelError, match=f"downloaded by hand.*xbench models pin {name} FILE"):
                resolve(ModelRequest(name))


def test_every_row_that_a_shipped_entry_should_reproduce_is_published():
    rows = [entry.reproduces for entry in checkpoints().checkpoints.values() if entry.reproduces]
    assert rows
    for row in rows:
        assert published_rows(**row.model_dump())


def test_a_users_file_is_layered_over_the_shipped_one():
    shipped = checkpoints()
    write(MINE)
    layered = checkpoints()
    assert layered.checkpoints.keys() == shipped.checkpoints.keys() | {"mine"}
    assert layered.clip == shipped.clip


def test_only_a_file_that_the_user_names_replaces_what_ships(elsewhere, monkeypatch):
    write(REPLACED)
    with pytest.raises(UsageError, match=r"checkpoints\.clip-vit-b-32 comes with xbench"):
        checkpoints()
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(elsewhere / "checkpoints.yaml"))
    assert checkpoints().checkpoints["clip-vit-b-32"].scorer == "xclip-zeroshot"
    listed = f"{{url: https://x/y.gz, sha256: {'ab' * 32}, source: me}}"
    write(f"vocabulary:\n  clip-bpe: {listed}\n")
    assert checkpoints().vocabulary["clip-bpe"].sha256 == "ab" * 32
    monkeypatch.delenv("XBENCH_CHECKPOINTS")
    with pytest.raises(UsageError, match=r"vocabulary\.clip-bpe comes with xbench"):
        checkpoints()


@pytest.mark.parametrize("chosen", [True, False])
def test_an_entry_with_the_name_of_a_scorer_is_an_error(elsewhere, monkeypatch, chosen):
    write("checkpoints:\n  xclip:\n    scorer: clip4clip\n")
    if chosen:
        monkeypatch.setenv("XBENCH_CHECKPOINTS", str(elsewhere / "checkpoints.yaml"))
    with pytest.raises(UsageError, match=r"checkpoints\.xclip: xclip is a scorer that comes with xbench"):
        resolve(ModelRequest("xclip", checkpoint=Path("x")))


def test_the_variable_names_a_file_or_turns_the_local_one_off(tmp_path, monkeypatch):
    write("not: valid")
    (tmp_path / "other.yaml").write_text(MINE)
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(tmp_path / "other.yaml"))
    assert "mine" in checkpoints().checkpoints
    monkeypatch.setenv("XBENCH_CHECKPOINTS", "")
    assert user_file() is None
    assert "mine" not in checkpoints().checkpoints
    monkeypatch.setenv("XBENCH_CHECKPOINTS", "absent.yaml")
    with pytest.raises(UsageError, match=r"absent\.yaml, and there is no such file"):
        checkpoints()


def test_a_named_checkpoint_stands_for_its_scorer_weights_and_settings(elsewhere):
    weights()
    write(MINE)
    request = resolve(ModelRequest("mine", words=64, device="cpu")).request
    assert request == ModelRequest(
        "clip4clip",
        checkpoint=elsewhere / "weights" / "pytorch_model.bin.4",
        bpe=elsewhere / "words.txt.gz",
        precision="bf16",
        device="cpu",
        words=64,
        args={"words": 8, "frames": 4},
    )


def test_what_the_user_says_wins_over_the_entry():
    weights()
    write(MINE)
    asked = ModelRequest("mine", precision="fp16", bpe=Path("own.gz"), args={"frames": "2"})
    request = resolve(asked).request
    assert (request.precision, request.bpe) == ("fp16", Path("own.gz"))
    assert request.args == {"words": 8, "frames": "2"}
    assert resolve(ModelRequest("mine", precision="fp32")).request.precision == "fp32"
    with pytest.raises(UsageError, match="brings its own weights: leave --checkpoint out"):
        resolve(ModelRequest("mine", checkpoint=Path("x")))


def test_weights_are_the_listed_ones_or_none():
    sha256 = weights()
    good = MINE.replace("    licence: MIT\n", f"    sha256: {sha256}\n")
    write(good)
    assert resolve(ModelRequest("mine")).request.checkpoint is not None
    write(good.replace(sha256, "ab" * 32))
    with pytest.raises(ModelError, match=f"its sha256 is {sha256}, expected abab"):
        resolve(ModelRequest("mine"))
    Path("weights/pytorch_model.bin.4").unlink()
    with pytest.raises(ModelError, match="are not there"):
        resolve(ModelRequest("mine"))


def test_a_scorer_of_ones_own_is_found_beside_the_file(elsewhere, monkeypatch):
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(elsewhere / "checkpoints.yaml"))
    write("checkpoints:\n  own:\n    scorer: models/mine.py:Model\n")
    Path("models").mkdir()
    Path("models/mine.py").write_text("class Model:\n    def __init__(self, depth: int = 1): pass\n")
    assert resolve(ModelRequest("own")).request.name == f"{elsewhere / 'models' / 'mine.py'}:Model"


@pytest.mark.parametrize("scorer", ["models/mine.py:Model", "nobodys_model:Model"])
def test_code_that_a_file_nobody_named_names_is_not_run(elsewhere, monkeypatch, scorer):
    write(f"checkpoints:\n  own:\n    scorer: {scorer}\n")
    Path("models").mkdir()
    for path in (Path("models/mine.py"), Path("nobodys_model.py")):
        path.write_text("from pathlib import Path\nPath('ran').touch()\nclass Model: pass\n")
    with pytest.raises(UsageError, match=r"runs code, .*m.*If it is yours, set XBENCH_CHECKPOINTS="):
        resolve(ModelRequest("own"))
    assert not Path("ran").exists()
    monkeypatch.setenv("XBENCH_CHECKPOINTS", "checkpoints.yaml")
    monkeypatch.setattr(sys, "path", list(sys.path))
    resolve(ModelRequest("own"))
    assert Path("ran").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checkpoints:\n  a:\n    scorer: clip\n    clipp: x\n", "line 4: checkpoints.a.clipp: Extra inputs"),
        ("checkpoints:\n  a:\n    clip: ViT-B/32\n", "line 2: checkpoints.a.scorer: Field required"),
        ("checkpoints:\n  a:\n    scorer: clip\n    sha256: 12\n", "line 4: checkpoints.a.sha256: Input"),
        ("checkpoints:\n  a:\n    scorer: hf\n    url: http://x/y\n", "line 4: checkpoints.a.url: String"),
        (
            "checkpoints:\n  a:\n    scorer: hf\n    url: https://x/y\n    hub: a/b\n",
            "line 2: checkpoints.a: give one of clip, file, url, hub, by_hand, not url and hub",
        ),
        (
            "checkpoints:\n  a:\n    scorer: x\n    url: https://x/y\n",
            "line 2: checkpoints.a: a url needs its sha256",
        ),
        ("checkpoints: [1]\n", "line 1: checkpoints: Input should be"),
        ("other: 1\n", "line 1: other: Extra inputs"),
        ("- 1\n", "line 1: the whole file: Input should be"),
        (
            "checkpoints:\n  a: {scorer: clip}\n  a: {scorer: hf}\n",
            "line 3: a stands here again, after line 2",
        ),
        ("checkpoints:\n  a: [\n", "line 3: this is no YAML"),
        (
            "checkpoints:\n  a:\n    settings:\n      since: 2020-01-01\n    scorer: clip\n",
            "line 4: checkpoints.a.settings.since",
        ),
    ],
)
def test_a_fault_is_told_with_file_line_and_key(elsewhere, text, said):
    write(text)
    with pytest.raises(UsageError) as caught:
        checkpoints()
    assert f"{elsewhere / 'checkpoints.yaml'}, {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "error", "said"),
    [
        ("{scorer: clipp}", UsageError, "The scorer of the entry a .*Did you mean 'clip'"),
        ("{scorer: clip, clip: ViT-B/33}", UsageError, "no CLIP weights 'ViT-B/33'. Did you mean 'ViT-B/32'"),
        ("{scorer: clip, clip: ViT-B/32, settings: {precision: fp8}}", UsageError, "no precision 'fp8'"),
        ("{scorer: clip, clip: ViT-B/32, settings: {depth: 3}}", UsageError, "no argument 'depth'"),
    ],
)
def test_an_entry_that_cannot_be_built_is_told_by_name(entry, error, said):
    write(f"checkpoints:\n  a: {entry}\n")
    with pytest.raises(error, match=said):
        resolve(ModelRequest("a"))


def test_a_file_that_nobody_named_does_not_say_which_archives_may_run_code(elsewhere, monkeypatch):
    url = f"clip:\n  mine:\n    url: https://x/y.pt\n    sha256: {'ab' * 32}\n    source: me\n"
    write(url)
    with pytest.raises(UsageError, match="which archives may run code"):
        checkpoints()
    monkeypatch.setenv("XBENCH_CHECKPOINTS", str(elsewhere / "checkpoints.yaml"))
    assert "ab" * 32 in checkpoints().trusted
