"""What of the machine changes bits, and what it says about itself."""

from pathlib import Path

import pytest

from xbench.pipeline import record as computing


@pytest.mark.parametrize(
    ("flags", "device", "slow"),
    [
        ("fpu avx2", "cpu", True),
        ("fpu avx512_bf16", "cpu", False),
        ("fpu amx_bf16", "cpu", False),
        ("fpu avx2", "cuda:0", False),
    ],
)
def test_bfloat16_is_slow_where_a_cpu_has_no_instructions_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, device: str, slow: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: Some CPU\nflags\t\t: {flags}\n")
    monkeypatch.setattr(computing, "_CPU_INFO", tmp_path / "cpuinfo")
    assert computing.slow_bfloat16(device) is slow
    assert computing.cpu_kind().startswith("Some CPU, ")


def test_the_kind_of_cpu_is_part_of_what_a_cpu_computes_and_not_of_what_a_gpu_does() -> None:
    assert computing.computing(1, "cpu") == {"threads": 1, "cpu": computing.cpu_kind()}
    assert computing.computing(2, "cuda:0") == {"threads": 2}
