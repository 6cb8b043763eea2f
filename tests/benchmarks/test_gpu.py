"""The measurements of `make bench-gpu`, run small on what there is, so that they do run on a GPU."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_encoding import BACKBONES, encoding, flop_of_a_frame
from benchmarks.gpu_scoring import SIZES, Size, features, ranks, rivals, scoring
from benchmarks.gpu_table import BEGIN, END, markdown, write_docs
from benchmarks.gpu_timing import product_rates
from xbench.scorers.clip.sizes import ClipSizes

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RATES = {"fp32": 2.0, "tf32": 4.0, "fp16": 8.0, "bf16": 8.0}
TINY = Size("tiny", 6, 5, 4, 3, (2, 3))
TINY_CLIP = ClipSizes(
    embed=512,
    image=16,
    patch=8,
    vision_width=64,
    vision_layers=1,
    context=77,
    vocabulary=514,
    text_width=512,
    text_layers=4,
)


def test_scoring_counts_all_pairs_and_compares_with_float32() -> None:
    row = scoring(TINY, "fp32", DEVICE, RATES)
    assert row["pairs"] == 30
    assert row["pairs/s"] == pytest.approx(30 / row["warm s"])
    assert row["of product rate"] == pytest.approx(row["TFLOP/s"] / 2.0)
    assert row["largest logit change"] < 2e-4
    assert row["ranks changed"] == 0


def test_rivals_are_torch_and_the_published_loop_at_each_script_s_blocks() -> None:
    rows = rivals(TINY, DEVICE)
    assert [row["way"] for row in rows] == [
        "torch, fp32",
        "published loop, blocks of 2",
        "published loop, blocks of 3",
    ]
    assert all(row["pairs"] == 30 and row["pairs/s"] > 0 for row in rows)


def test_encoding_tells_frames_a_second() -> None:
    rows = list(encoding("tiny", TINY_CLIP, "bf16", DEVICE, RATES, videos=2))
    assert [row["pixels on"] for row in rows] == ["GPU", "host"]
    assert all(row["frames/s"] > 0 for row in rows)
    assert all(row["of product rate"] == pytest.approx(row["TFLOP/s"] / 8.0) for row in rows)


def test_operations_are_those_of_the_papers_towers() -> None:
    giga = [flop_of_a_frame(sizes) / 2e9 for sizes in BACKBONES.values()]
    assert giga == pytest.approx([4.4, 17.5], abs=0.15)  # multiply-adds as CLIP's table has them
    assert SIZES[3].texts * SIZES[3].videos * SIZES[3].flop / 1e12 == pytest.approx(130, rel=0.05)


def test_a_text_ranks_its_own_video_neither_always_first_nor_by_chance() -> None:
    sentence, _, video, _ = features(Size("small", 200, 200, 1, 4, ()))
    own = ranks(sentence @ video.T)
    assert 0 < (own == 0).float().mean() < 1
    assert own.float().mean() < 50


def test_the_rate_of_products_is_measured_in_every_precision() -> None:
    assert product_rates(DEVICE, side=64).keys() == RATES.keys()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "SIZES", (TINY,))
    monkeypatch.setattr(gpu, "PRECISIONS", ("fp32",))
    monkeypatch.setattr(gpu, "BACKBONES", {})
    monkeypatch.setattr(gpu, "product_rates", lambda device: RATES)
    monkeypatch.setattr(gpu, "_machine", lambda device: {"measured": True, "gpu": "a GPU"})


@pytest.mark.usefixtures("_quick")
def test_what_is_measured_is_shown_and_can_be_written() -> None:
    saved: list[str] = []
    record = gpu.measure(DEVICE, lambda record: saved.append(json.dumps(record)))
    shown = gpu.render(record)
    assert all(text in shown for text in ("gpu: a GPU", "published loop, blocks of 3", "of product rate"))
    assert json.loads(saved[-1]) == record
    assert record["fused kernels"] is (DEVICE.type == "cuda")
    published = [row for row in record["scoring"] if row["way"].startswith("published")]
    assert max(row["x published"] for row in published) == 1.0


def test_the_documentation_gets_what_was_measured_between_its_markers(tmp_path: Path) -> None:
    record = {
        "measured": True,
        "gpu": "a GPU",
        "cuda": "13",
        "date": "2026-01-01",
        "versions": {"torch": "2"},
        "products_tflops": {"fp32": 50.0},
        "scoring": [{"benchmark": "b", "way": "fused", "pairs": 3, "pairs/s": 1234.5}],
        "encoding": [{"backbone": "ViT", "frames/s": 10.0}],
    }
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_docs(page, record)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\na GPU, CUDA 13, torch 2, 2026-01-01.")
    assert "| b           | fused |  1.23e+03 |" in text
    assert "old" not in text
    assert text.endswith(f"{END}\nafter\n")


def test_the_documentation_says_what_the_recorded_measurement_says() -> None:
    root = Path(__file__).resolve().parents[2]
    record = json.loads((root / "benchmarks" / "gpu.json").read_text())
    text = (root / "docs" / "performance.md").read_text()
    assert text.split(BEGIN)[1].split(END)[0].strip() == markdown(record)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_nothing_is_measured_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", "--json", str(tmp_path / "gpu.json")])
    with pytest.raises(SystemExit, match=r"Not measured: torch .* sees no CUDA device here"):
        gpu.main()
    assert not (tmp_path / "gpu.json").exists()
