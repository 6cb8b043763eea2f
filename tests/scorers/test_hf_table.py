"""docs/hf-models.md says what `--model hf` does with a class: some of its rows, tried again."""

import pytest
import transformers

from tools.make_hf_table import PAGE, tried

TEXT = PAGE.read_text("utf-8")


@pytest.mark.skipif(f"transformers {transformers.__version__}," not in TEXT, reason="of another transformers")
@pytest.mark.parametrize("name", ["CLIPModel", "FlavaModel", "ClapModel", "VideoPrismClipModel"])
def test_a_row_says_what_happens(name: str) -> None:
    said, why = tried(getattr(transformers, name))
    assert f"| `{name}` | {said} | {why} |" in TEXT
