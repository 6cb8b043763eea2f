"""The video-to-text rule asked for: other numbers, told in the record, apart from those of the protocol's."""

import pytest

from xbench.data.split import Caption, Split, Video
from xbench.errors import UsageError
from xbench.pipeline import plan as plans
from xbench.pipeline.plan import plan_matrix
from xbench.pipeline.record import _rule_notes
from xbench.registry.datasets import protocols
from xbench.terms import V2TRule


def test_the_rule_asked_for_takes_the_place_of_the_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = tuple(Caption(f"caption {index}", index // 2) for index in range(4))
    split = Split("msvd", "msvd/test", (Video("a"), Video("b")), captions, "group-max")
    monkeypatch.setattr(plans, "load_split", lambda *_: split)
    monkeypatch.setattr(plans, "data_folders", lambda *_, **__: (None, None))
    asked = {"similarity": "s.npy", "dataset": "msvd"}
    assert plan_matrix(asked).split.v2t == "group-max"
    assert plan_matrix(asked | {"v2t": "any-caption"}).split.v2t == "any-caption"
    with pytest.raises(UsageError, match="video-to-text rule"):
        plan_matrix(asked | {"v2t": "best"})


@pytest.mark.parametrize(("rule", "told"), [("group-max", False), ("any-caption", True)])
def test_the_record_says_that_the_rule_is_not_the_protocols(rule: V2TRule, told: bool) -> None:
    notes = " ".join(_rule_notes(rule, protocols()["msvd/test"]))
    assert ("v2t counts by any-caption, the protocol by group-max" in notes) == told
    assert _rule_notes(rule, None) == []
