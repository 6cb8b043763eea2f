"""CLIP weights from archives, files, folders and hub ids, all to the same state dict."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from xclip_small import CLIP

from xbench.errors import ModelError
from xbench.registry.checkpoints import checkpoints
from xbench.scorers.clip.sizes import clip_from_transformers, clip_to_transformers
from xbench.scorers.clip.sources import load_clip
from xbench.scorers.xclip.load import random_clip
from xbench.storage import file_sha256


@pytest.fixture(scope="module")
def state():
    return random_clip(CLIP)


class _Archive(nn.Module):
    """A module whose parameters have CLIP's names, dots and all, as OpenAI's archives have."""

    def __init__(self, state) -> None:
        super().__init__()
        for name, tensor in state.items():
            *path, leaf = name.split(".")
            holder: nn.Module = self
            for part in path:
                if not hasattr(holder, part):
                    holder.add_module(part, nn.Module())
                holder = getattr(holder, part)
            holder.register_buffer(leaf, tensor)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value


@pytest.fixture(scope="module")
def archive(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "ViT-tiny.pt"
    half = {name: tensor.half() for name, tensor in state.items()}
    extras = {"input_resolution": torch.tensor(16), "context_length": torch.tensor(16)}
    torch.jit.script(_Archive(half | extras)).save(str(path))
    return path


def _assert_equal(loaded, state):
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_an_archive_whose_sha256_is_listed_is_opened(archive, state):
    loaded = load_clip(archive, trusted=frozenset({file_sha256(archive)}))
    _assert_equal(loaded.state, {name: tensor.half().float() for name, tensor in state.items()})
    assert loaded.file.sha256 == file_sha256(archive)


def test_an_archive_whose_sha256_is_not_listed_is_not_opened(archive, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the archive was opened"))
    with pytest.raises(ModelError, match=r"sha256 [0-9a-f]{64}, which is not in checkpoints\.yaml"):
        load_clip(archive)


def test_the_published_archives_are_listed():
    assert {name: entry.sha256[:8] for name, entry in checkpoints().clip.items()} == {
        "ViT-B/32": "40d36571",
        "ViT-B/16": "5806e77c",
        "ViT-L/14": "b8cca3fd",
        "ViT-L/14@336px": "3035c92b",
    }
    assert checkpoints().vocabulary["clip-bpe"].sha256.startswith("924691ac")


def test_plain_files_in_both_layouts_give_the_same(tmp_path, state):
    save_file(state, tmp_path / "openai.safetensors")
    torch.save(clip_to_transformers(state), tmp_path / "transformers.bin")
    _assert_equal(load_clip(tmp_path / "openai.safetensors").state, state)
    _assert_equal(load_clip(tmp_path / "transformers.bin").state, state)


def test_the_layouts_are_each_others_inverse(state):
    _assert_equal(clip_from_transformers(clip_to_transformers(state)), state)


def test_a_folder_that_transformers_saved_is_read(tmp_path, state):
    from xbench.scorers.clip.towers import ClipTowers

    ClipTowers(CLIP, state).clip.save_pretrained(tmp_path)
    _assert_equal(load_clip(tmp_path).state, state)


def test_a_folder_with_another_activation_is_refused(tmp_path, state):
    save_file(clip_to_transformers(state), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"hidden_act": "gelu"}}))
    with pytest.raises(ModelError, match="hidden_act 'gelu'"):
        load_clip(tmp_path)
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(ModelError, match="not the configuration"):
        load_clip(tmp_path)


def test_a_folder_without_weights_says_what_is_expected(tmp_path):
    with pytest.raises(ModelError, match=r"model\.safetensors or pytorch_model\.bin"):
        load_clip(tmp_path)


def test_one_tower_alone_is_refused(tmp_path, state):
    text = {name: t for name, t in clip_to_transformers(state).items() if name.startswith("text_model.")}
    save_file(text, tmp_path / "text.safetensors")
    with pytest.raises(ModelError, match="one tower is not"):
        load_clip(tmp_path / "text.safetensors")


def test_a_hub_id_offline_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"nobody/no-such-clip.*Pass a file or folder with --clip"):
        load_clip("nobody/no-such-clip")


def test_a_path_that_does_not_exist_is_an_error_and_no_hub_id():
    with pytest.raises(ModelError, match="There is no weight file"):
        load_clip("/nowhere/clip.pt")
