"""Checkpoints that people download by hand: they run once they are pinned, and only with what was pinned."""

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scorers"))
from test_wti import wti_state
from test_xpool import saved, xpool_state
from xclip_small import vocabulary

from xbench.cli import main
from xbench.errors import ModelError, UsageError
from xbench.registry.checkpoints import checkpoints
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.storage import file_sha256

XPOOL, HBI = "xpool-msrvtt-9k", "hbi-msrvtt"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XBENCH_CHECKPOINTS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config" / "xbench" / "pins.yaml"


def models(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path / "model_best.pth", xpool_state())


def test_it_runs_once_pinned_and_only_with_that_content(tmp_path: Path, file: Path, config: Path) -> None:
    with pytest.raises(ModelError, match=rf"https://drive.*models pin {XPOOL} FILE"):
        resolve(ModelRequest(XPOOL))
    assert models("fetch", XPOOL).exit_code == 4
    pinned = models("pin", XPOOL, file.name)
    assert pinned.exit_code == 0, pinned.stderr
    assert pinned.stdout == f"{file_sha256(file)}  {file}\n"
    request = resolve(ModelRequest(XPOOL, bpe=vocabulary(tmp_path))).request
    assert (request.name, request.checkpoint) == ("xpool", file)
    assert models("fetch", XPOOL).stdout == f"{file}\n"
    assert config.read_text().startswith("# Written by `xbench models pin`")

    saved(file, {name: tensor + 1 for name, tensor in xpool_state().items()})
    with pytest.raises(ModelError, match=f"not the file that was pinned for {XPOOL}"):
        resolve(ModelRequest(XPOOL))
    again = models("pin", XPOOL, file)
    assert again.exit_code == 2
    assert "pinned to other content already" in again.stderr
    assert models("pin", XPOOL, file, "--replace").exit_code == 0
    resolve(ModelRequest(XPOOL, bpe=vocabulary(tmp_path)))
    file.unlink()
    with pytest.raises(ModelError, match="are not there"):
        resolve(ModelRequest(XPOOL))


def test_settings_of_the_entry_reach_the_model(tmp_path: Path) -> None:
    torch.save(wti_state(), tmp_path / "hbi.bin")
    assert models("pin", HBI, tmp_path / "hbi.bin").exit_code == 0
    args = {"words": 8, "frames": 4}  # what the small model has room for
    model = resolve(ModelRequest(HBI, bpe=vocabulary(tmp_path), args=args)).build()
    assert str(model.video_input.sampling) == "every=1"
    assert resolve(ModelRequest(HBI, bpe=vocabulary(tmp_path))).request.args == {
        "words": 24,
        "frames": 12,
        "sampling": "every=1",
    }


def test_list_and_show_say_what_is_unverified(file: Path) -> None:
    assert "by hand, unverified" in models("list").stdout
    shown = models("show", XPOOL).stdout
    assert "none stated" in shown
    assert "unverified: its publisher gives no hash; download it by hand" in shown
    assert "X-Pool on msrvtt with ViT-B/32, trained on 9k, msrvtt/1ka, t2v: R@1 46.9, R@5 72.8" in shown
    assert "43.9" not in shown
    models("pin", XPOOL, file)
    assert "by hand, pinned" in models("list").stdout
    assert file_sha256(file) in models("show", XPOOL).stdout
    listed = {each["name"]: each for each in json.loads(models("list", "--json").stdout)["checkpoints"]}
    assert listed[XPOOL]["sha256"] == file_sha256(file)


def test_another_models_file_is_not_pinned(tmp_path: Path, config: Path) -> None:
    torch.save(wti_state(), tmp_path / "hbi.bin")
    wrong = models("pin", XPOOL, tmp_path / "hbi.bin")
    assert wrong.exit_code == 4
    assert "--model wti" in wrong.stderr
    torch.save({"a": torch.ones(1)}, tmp_path / "a.bin")
    assert "holds no checkpoint of xpool" in models("pin", XPOOL, tmp_path / "a.bin").stderr
    (tmp_path / "page.html").write_text("<html>Google Drive can't scan this file</html>")
    page = models("pin", XPOOL, tmp_path / "page.html")
    assert page.exit_code == 4
    assert "HTML page" in page.stderr
    assert models("pin", XPOOL, tmp_path / "absent").exit_code == 4
    assert not config.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("xpool-msrvtt-9", "Did you mean 'xpool-msrvtt-9k'"), ("clip-vit-b-32", "is not downloaded by hand")],
)
def test_only_what_is_downloaded_by_hand_is_pinned(file: Path, name: str, said: str) -> None:
    result = models("pin", name, file)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_damaged_file_of_pins_is_told_with_its_line(config: Path) -> None:
    config.parent.mkdir(parents=True)
    config.write_text(f"pins:\n  {XPOOL}:\n    file: x\n    sha256: 12\n")
    with pytest.raises(UsageError, match=rf"pins\.yaml, line 4: pins\.{XPOOL}\.sha256"):
        checkpoints()


def test_a_pin_replaces_no_entry_that_has_its_weights(config: Path) -> None:
    """A name's own file or backbone stays, whatever the pins say."""
    config.parent.mkdir(parents=True)
    pin = f"{{file: x, sha256: {'ab' * 32}}}"
    config.write_text(f"pins:\n  clip-vit-b-32: {pin}\n  nobody: {pin}\n")
    assert checkpoints().checkpoints["clip-vit-b-32"].file is None
    assert "nobody" not in checkpoints().checkpoints


def test_a_user_may_have_entries_of_ones_own_to_pin(tmp_path: Path, file: Path) -> None:
    Path("checkpoints.yaml").write_text(
        "checkpoints:\n  mine: {scorer: xpool, by_hand: 'https://my.example/page'}\n"
    )
    assert models("pin", "mine", file).exit_code == 0
    resolve(ModelRequest("mine", bpe=vocabulary(tmp_path)))
