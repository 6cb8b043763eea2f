"""What the fused kernels stand on: their factors, the choice of a tile, and what is kept between blocks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.scorers.xclip.fused.kept import Kept
from xbench.scorers.xclip.fused.parts import parts_of
from xbench.scorers.xclip.fused.tuning import FINE, NoKernelError, Tile, fastest, refuse_old


@settings(deadline=None)
@given(value=st.floats(-1, 1, width=32), scale=st.sampled_from([1.0, 1e-4, 1e4]))
def test_pairs_keep_22_bits(value, scale):
    number = torch.tensor([value * scale])
    parts = parts_of(number, "fp16x3", bound=scale)
    back = parts.data.double().sum(dim=0) * parts.unit
    assert (back - number).abs() <= max(abs(value * scale) * 2**-22, scale * 2**-36)


def test_the_fastest_tile_that_works_is_chosen_once_and_kept(tmp_path, capsys):
    seconds = {FINE[1]: 2.0, FINE[2]: 1.0, FINE[3]: 3.0}
    assert fastest("a GPU", FINE, seconds.__getitem__, tmp_path) == FINE[2]
    assert fastest("a GPU", FINE, {}.__getitem__, tmp_path) == FINE[2]
    assert fastest("another", FINE[3:4], seconds.__getitem__, tmp_path) == FINE[3]
    assert fastest("a GPU", FINE, {}.__getitem__, tmp_path) == FINE[2]
    assert capsys.readouterr().err.splitlines() == [
        f"Choosing among {len(FINE)} kernels, once: a GPU ...",
        "Choosing among 1 kernels, once: another ...",
    ]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a GPU": 3}', '{"a GPU": {"rows": 64}}'])
def test_a_damaged_choice_is_made_again(tmp_path, content):
    (tmp_path / "fused-tiles.json").write_text(content)
    assert fastest("a GPU", FINE[:1], lambda tile: 1.0, tmp_path) == FINE[0]


def test_a_choice_that_cannot_be_kept_is_made_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    assert fastest("a GPU", FINE[:1], lambda tile: 1.0, tmp_path / "file") == FINE[0]


def test_no_tile_that_works_is_an_error_that_says_why(tmp_path):
    def fails(tile: Tile) -> float:
        raise ValueError("out of resource: shared memory")

    with pytest.raises(NoKernelError, match="ValueError: out of resource: shared memory"):
        fastest("a GPU", FINE, fails, tmp_path)


def test_gpus_before_ampere_are_refused_by_name():
    refuse_old((8, 0), "A100")
    refuse_old((12, 0), "RTX 5090")
    with pytest.raises(NoKernelError, match="Tesla T4 is too old"):
        refuse_old((7, 5), "Tesla T4")


def test_what_was_made_of_tensors_is_kept_until_they_change():
    kept, tensor = Kept(1 << 20), torch.zeros(4, 8)
    made = [kept.get((tensor,), object) for _ in range(2)]
    assert made[0] is made[1]
    assert kept.get((tensor[:2],), object) is kept.get((tensor[:2],), object)
    assert kept.get((tensor[:2],), object) is not kept.get((tensor[2:],), object)
    assert kept.get((tensor.clone(),), object) is not made[0]
    tensor += 1
    assert kept.get((tensor,), object) is not made[0]
    kept.clear()
    assert kept.get((tensor,), object) is not made[0]


def test_numbers_that_were_changed_behind_torchs_back_are_noticed():
    kept, array = Kept(1 << 20), np.zeros((50, 40), dtype=np.float32)
    tensor = torch.from_numpy(array)
    made = kept.get((tensor,), object)
    array[:] = np.random.default_rng(0).random((50, 40))
    assert kept.get((tensor,), object) is not made


def test_nothing_is_kept_of_scattered_memory():
    kept, tensor = Kept(1 << 20), torch.zeros(8, 4).T
    assert kept.get((tensor,), object) is not kept.get((tensor,), object)


def test_memory_of_a_kept_tensor_does_not_become_anothers():
    kept = Kept(1 << 20)
    made = [kept.get((torch.full((64,), float(value)),), lambda value=value: value) for value in range(50)]
    assert made == list(range(50))


def test_what_was_not_asked_for_the_longest_goes_first():
    kept, tensors = Kept(100), [torch.zeros(10) for _ in range(3)]  # 40 bytes each
    first, second = (kept.get((tensor,), object) for tensor in tensors[:2])
    assert kept.get((tensors[0],), object) is first
    kept.get((tensors[2],), object)
    assert kept.get((tensors[0],), object) is first
    assert kept.get((tensors[1],), object) is not second


def test_nothing_is_kept_of_tensors_whose_changes_are_not_counted():
    kept = Kept(1 << 20)
    with torch.inference_mode():
        tensor = torch.zeros(4)
        assert kept.get((tensor,), object) is not kept.get((tensor,), object)
