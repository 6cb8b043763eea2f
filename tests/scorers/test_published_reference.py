"""The rival of the benchmarks computes what the published code computes, or its time would mean nothing."""

import torch
from xclip_golden import LOGITS, shipped, upcast


def test_the_rival_of_the_benchmarks_gives_the_golden_logits(monkeypatch, fixtures):
    monkeypatch.syspath_prepend(fixtures.parent.parent)
    from benchmarks.reference import Encoded, published_scores

    golden = shipped("seqTransf")
    state = upcast(golden.state)
    encoded = Encoded(
        sentences=golden.out["sequence_output"][:, 0],
        words=golden.out["seq_features"],
        frames=golden.out["visual_output"],
        mask=golden.mask,
    )
    with torch.inference_mode():
        scores = torch.from_numpy(published_scores(encoded, state, block=3))
    assert (scores - golden.out["logits"]).abs().max() < LOGITS
