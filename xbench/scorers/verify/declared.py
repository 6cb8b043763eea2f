"""What a scorer declares."""

from xbench.scorers.declared import faults
from xbench.scorers.verify.trial import BrokenError, Trial


def declaration(trial: Trial) -> str:
    """Name, settings, identity, block and video input are of the right types and stay what they are."""
    scorer = trial.scorer
    for _, what in faults(scorer):
        raise BrokenError(what)
    block, wants = scorer.block, scorer.video_input
    if scorer.block != block or scorer.identity != scorer.identity:
        raise BrokenError("block or identity changes from one look to the next.")
    cached = "no cache (identity None)" if scorer.identity is None else "cached under its identity"
    return f"{scorer.name}, blocks of {block[0]} x {block[1]}, {wants.max_frames} frames, {cached}"
