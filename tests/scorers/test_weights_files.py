"""Weight files: every format, and a clear error for everything that is none."""

import collections
import hashlib
import io
import os

import pytest
import torch
from safetensors.torch import save_file

from xbench.errors import ModelError
from xbench.scorers.weights import read_weights

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5, -2.0]).half()}


def _assert_is_state(weights):
    read = weights.state
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[name], STATE[name].float()) for name in STATE)
    assert all(tensor.dtype == torch.float32 for tensor in read.values())


@pytest.mark.parametrize("name", ["pytorch_model.bin.4", "model.pt", "anything"])
def test_torch_files_are_read_whatever_their_name_and_upcast(tmp_path, name):
    torch.save(collections.OrderedDict(STATE), tmp_path / name)
    _assert_is_state(read_weights(tmp_path / name))


def test_the_old_torch_format_is_read(tmp_path):
    torch.save(STATE, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    _assert_is_state(read_weights(tmp_path / "old.bin"))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin.0"])
def test_safetensors_are_read_whatever_their_name(tmp_path, name):
    save_file(STATE, tmp_path / name)
    _assert_is_state(read_weights(tmp_path / name))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_what_training_loops_put_around_a_state_dict_is_taken_off(tmp_path, wrapper):
    parallel = {f"module.{name}": tensor for name, tensor in STATE.items()}
    torch.save({wrapper: parallel, "epoch": 3}, tmp_path / "wrapped.pt")
    _assert_is_state(read_weights(tmp_path / "wrapped.pt"))


class _Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_code_in_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Evil()}, "evil.pt")
    with pytest.raises(ModelError, match="does not run code"):
        read_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "evil").exists()


def _saved(tmp_path, save) -> bytes:
    save(STATE, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("save", [torch.save, save_file])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, save, part):
    whole = _saved(tmp_path, save)
    (tmp_path / "cut.bin").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelError, match=r"cut\.bin is truncated or corrupt"):
        read_weights(tmp_path / "cut.bin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\n <!DOCTYPE html><html><title>Google Drive", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
        (b"hello there, no weights", "neither a torch file nor safetensors"),
        (b"\x80\x05hello", "does not run code|truncated or corrupt"),
        (b"PK\x03\x04hello", "truncated or corrupt"),
    ],
)
def test_a_file_that_is_no_weights_says_what_it_is(tmp_path, content, said):
    (tmp_path / "pytorch_model.bin.1").write_bytes(content)
    with pytest.raises(ModelError, match=said) as error:
        read_weights(tmp_path / "pytorch_model.bin.1")
    assert "pytorch_model.bin.1" in str(error.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, torch.ones(2)])
def test_a_torch_file_without_a_state_dict_says_so(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="state dict"):
        read_weights(tmp_path / "other.pt")


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(ModelError, match="no weight file"):
        read_weights(tmp_path / "none.bin")
    with pytest.raises(ModelError, match="directory"):
        read_weights(tmp_path)


def test_a_torchscript_archive_is_not_opened(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(ModelError, match="TorchScript"):
        read_weights(tmp_path / "script.pt")


def _flipped(path, tensor):
    """Flip one bit in the middle of a tensor's bytes in a file."""
    whole = bytearray(path.read_bytes())
    at = whole.find(tensor.numpy().tobytes())
    whole[at + tensor.nbytes // 2] ^= 4
    path.write_bytes(whole)


def test_a_flipped_bit_in_a_torch_archive_is_told_by_its_checksum(tmp_path):
    torch.save(STATE, tmp_path / "model.pt")
    _flipped(tmp_path / "model.pt", STATE["a.weight"])
    assert torch.load(tmp_path / "model.pt", weights_only=True)["b"][0] == 1.5  # torch does not look
    with pytest.raises(ModelError, match=r"model\.pt is damaged: the content of model/data/0"):
        read_weights(tmp_path / "model.pt")


def test_an_archive_that_was_written_without_checksums_is_read_with_a_note(tmp_path, capsys):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "model.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    weights = read_weights(tmp_path / "model.pt")
    _assert_is_state(weights)
    assert weights.file.settings == {"weights": "written without checksums"}
    assert "without checksums" in capsys.readouterr().err


@pytest.mark.parametrize("save", [torch.save, save_file])
def test_weights_that_are_not_finite_are_refused_when_they_are_read(tmp_path, save):
    save(STATE | {"c": torch.tensor([1.0, float("nan")])}, tmp_path / "model")
    with pytest.raises(ModelError, match="model holds NaN or infinite values in c:"):
        read_weights(tmp_path / "model")


def test_a_file_is_opened_once_for_its_hash_its_checksums_and_its_weights(tmp_path, monkeypatch):
    torch.save({"module": STATE}, tmp_path / "model.pt")
    save_file(STATE, tmp_path / "model.safetensors")
    opened: list[str] = []
    plain = io.open

    def counted(path, *more, **named):
        opened.append(str(path))
        return plain(path, *more, **named)

    monkeypatch.setattr(io, "open", counted)
    monkeypatch.setattr("builtins.open", counted)
    for name in ("model.pt", "model.safetensors"):
        opened.clear()
        weights = read_weights(tmp_path / name)
        assert opened.count(str(tmp_path / name)) == 1
        assert weights.file.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
