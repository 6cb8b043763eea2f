"""What was begun by other code, or by another model on another machine, is never mixed in."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from xbench.errors import ModelError
from xbench.pipeline.record import code_digest
from xbench.pipeline.worker import Worker


def test_the_code_that_scores_is_known_by_its_content(tmp_path: Path) -> None:
    own = tmp_path / "scorer.py"
    own.write_text("SIGN = 1\n")
    before = code_digest(str(own))
    code_digest.cache_clear()
    own.write_text("SIGN = -1\n")
    assert before != code_digest(str(own))
    assert before != code_digest()


@pytest.mark.parametrize(("other", "refused"), [("weights", True), ("vocabulary", True), ("gpu", False)])
def test_a_worker_with_another_model_is_refused_whatever_its_probe_says(other: str, refused: bool) -> None:
    asked = {"weights": "a", "vocabulary": "b", "gpu": "c", "computing": {"threads": 1}}
    worker = object.__new__(Worker)
    worker._order = SimpleNamespace(store=(Path(), "x", asked))  # type: ignore[assignment]
    own = {name: value for name, value in asked.items() if name != "computing"} | {other: "z"}
    worker._scorer = SimpleNamespace(identity=own)  # type: ignore[assignment]
    if not refused:
        worker._require_same_model()
        return
    with pytest.raises(ModelError, match=f"another model .* its {other} differ"):
        worker._require_same_model()
