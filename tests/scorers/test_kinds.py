"""Every model's checkpoint given to every other model: exit code 4, and the name of the right one."""

import pytest
import torch
from test_clip4clip import clip4clip_state
from test_wti import wti_state
from test_xpool import xpool_state
from xclip_small import state, vocabulary

from xbench.errors import ModelError
from xbench.scorers.catalog import ModelRequest, resolve
from xbench.scorers.clip.sizes import clip_to_transformers, without_prefix

OF = {
    "xclip": state(),
    "clip4clip": clip4clip_state("seqTransf"),
    "xpool": xpool_state(),
    "wti": wti_state(),
    "clip": without_prefix("clip.", state("meanP")),
}
PLAIN_IN_OTHER_NAMES = clip_to_transformers(OF["clip"])
OPTION = {"clip": "clip", "xclip-zeroshot": "clip"}


def build(model, weights, folder):
    path = folder / "weights.bin"
    torch.save(weights, path)
    given = {OPTION.get(model, "checkpoint"): str(path) if model in OPTION else path}
    bpe = {} if model == "hf" else {"bpe": vocabulary(folder)}
    return resolve(ModelRequest(model, **given, **bpe)).build()


@pytest.mark.parametrize("asked", [*OF, "xclip-zeroshot", "hf"])
@pytest.mark.parametrize("given", OF)
def test_a_checkpoint_of_another_model_is_told_by_its_name(tmp_path, asked, given):
    if given == asked or (given, asked) == ("clip", "xclip-zeroshot"):
        return
    with pytest.raises(ModelError, match=rf"--model {given} --c") as error:
        build(asked, OF[given], tmp_path)
    assert error.value.exit_code == 4


@pytest.mark.parametrize("asked", ["xclip", "clip4clip", "xpool", "wti"])
def test_plain_weights_are_told_in_both_layouts(tmp_path, asked):
    with pytest.raises(ModelError, match="holds plain CLIP weights"):
        build(asked, PLAIN_IN_OTHER_NAMES, tmp_path)


def test_a_file_of_nobody_is_told_by_what_it_lacks(tmp_path):
    for asked in ("xpool", "wti"):
        with pytest.raises(ModelError, match=r"lacks 'clip\.token_embedding\.weight'"):
            build(asked, {"a": torch.ones(1)}, tmp_path)
