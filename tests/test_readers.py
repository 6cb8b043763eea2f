"""Whatever a file holds, reading it costs little more than a good one, and a good one is read as ever."""

import gzip
import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xbench import readers
from xbench.readers import RefusedError, TooMuchError


def new_list() -> list[Any]:
    return []


ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "list"): new_list,
    ("__builtin__", "list"): new_list,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_good_json_text_is_read_as_json_reads_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=True, indent=1)):
        assert readers.parse_json(text) == json.loads(text)
        assert readers.parse_json(text.encode()) == json.loads(text)


@given(VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_a_good_pickle_is_read_as_pickle_reads_it(value: object, protocol: int) -> None:
    assert readers.load_pickle(pickle.dumps(value, protocol), ADMITTED) == value


def test_the_containers_of_published_pickles_are_read() -> None:
    value = OrderedDict(a=[["a", "man"]], b=defaultdict(list, c=[("d", 1)]))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert readers.load_pickle(pickle.dumps(value, protocol), ADMITTED) == value


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 65 + "]" * 65,
        '{"a":' * 100_000,
        "[" + "[]," * 2_000_000 + "[]]",
    ],
    ids=range(4),
)
def test_json_that_is_too_deep_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(TooMuchError):
        readers.parse_json(text)


def test_brackets_and_quotes_within_strings_count_for_nothing() -> None:
    for inside in ("[" * 1000, '\\"[' * 1000, "\\\\\\\\", '\\\\\\"' + "[" * 100):
        text = f'["{inside}", 1]'
        assert readers.parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}r\xff\xff\xff\x0f.",
        b"\x80\x02}r\xff\xff\xff\x1f.",
        b"(dp99999999\n.",
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02)q\x00h\x00h\x00\x86q\x01h\x01h\x01\x86q\x02.",
        b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".",
        b"\x80\x02](" + b"}" * 400_000 + b"e.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x02]2a.",
        b"\x80\x05\x8f(K\x01\x90.",
        b"",
        b".",
        b"abc",
    ],
    ids=range(14),
)
def test_a_pickle_that_costs_more_than_it_looks_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        readers.load_pickle(content, ADMITTED)


def test_a_pickle_that_would_run_code_is_refused_by_name() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(RefusedError, match="pathlib"):
            readers.load_pickle(pickle.dumps(Path("x"), protocol), ADMITTED)
    repeated = b"\x80\x02X\x05\x00\x00\x00aaaaaq\x00cbuiltins\nlist\nh\x00\x85R."
    with pytest.raises(ValueError, match="TypeError"):
        readers.load_pickle(repeated, ADMITTED)


def bomb() -> str:
    rows = ["a0: &a0 [1,1,1,1,1,1,1,1,1]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    "text",
    [bomb(), "a: &a [*a]", "[" * 70, "{a: " * 100_000, "- a\n" * 200_000, "x" * (3 << 20)],
    ids=range(6),
)
def test_yaml_that_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(TooMuchError):
        readers.check_yaml(text)


def test_good_yaml_with_aliases_passes() -> None:
    readers.check_yaml("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}")
    with pytest.raises(yaml.YAMLError):
        readers.check_yaml("a: [")


def test_tables_of_too_many_rows_or_cells_are_refused() -> None:
    readers.check_table("a,b\n" * 1000, ",")
    for text in ("\n" * 900_000, "\r" * 900_000, "," * 2_000_000):
        with pytest.raises(TooMuchError):
            readers.check_table(text, ",")


def test_gzip_is_unpacked_up_to_its_limit() -> None:
    assert readers.gunzip(gzip.compress(b"x" * 100), 100) == b"x" * 100
    with pytest.raises(TooMuchError):
        readers.gunzip(gzip.compress(bytes(1 << 24)), 1 << 20)
    for broken in (b"", b"no gzip", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"xyz")[:-4] + b"0000"):
        with pytest.raises(ValueError):
            readers.gunzip(broken, 100)


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def archive(members: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    buffer.seek(0)
    return buffer


def test_arrays_pass_and_promises_that_are_not_kept_do_not(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((100, 1000)), b=np.array(["x", "yy"]), c=np.array([]))
    readers.check_arrays(tmp_path / "a.npz")
    header = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
    for descr, shape in (
        ("<f4", "(1000000000000,)"),
        ("|S0", "(1000000000000,)"),
        ("<f4", "(-1,)"),
        ("<f4", "(1,) + 1"),
    ):
        content = npy(header.format(descr, shape), bytes(16))
        with pytest.raises(ValueError):
            readers.check_arrays(archive({"a.npy": content}))
        with pytest.raises(ValueError):
            readers.check_npy(io.BytesIO(content))
    with pytest.raises(TooMuchError):
        readers.check_arrays(archive({"a.npy": bytes(80 << 20)}))


def test_weight_files_pass_and_those_that_grow_do_not(tmp_path: Path) -> None:
    state = {"a": torch.zeros(10, 10, dtype=torch.half)}
    for new in (True, False):
        torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
        with (tmp_path / "a.pt").open("rb") as file:
            readers.check_torch(file)
            assert torch.equal(torch.load(file, weights_only=True)["a"], state["a"])
    with pytest.raises(TooMuchError):
        readers.check_torch(archive({"x/data.pkl": bytes(80 << 20)}))
    with pytest.raises(ValueError, match="cut off"):
        readers.check_torch(io.BytesIO(b"\x80\x02" + b"]" * (10 << 20)))
    readers.require_backed("a", state["a"])
    with pytest.raises(ValueError, match="more numbers"):
        readers.require_backed("a", torch.zeros(1).expand(1 << 40))


def test_a_safetensors_header_is_bounded() -> None:
    for length in (1 << 63, 1 << 30, 20):
        with pytest.raises(ValueError):
            readers.check_safetensors(io.BytesIO(length.to_bytes(8, "little") + b"{}"))
    readers.check_safetensors(io.BytesIO((2).to_bytes(8, "little") + b"{}"))


def test_files_are_read_up_to_their_limit_and_pipes_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert readers.read_at_most(tmp_path / "a", 5) == b"12345"
    with pytest.raises(TooMuchError):
        readers.read_at_most(tmp_path / "a", 4)
    with pytest.raises(ValueError, match="device"):
        readers.read_at_most(Path("/dev/zero"), 1000)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe"):
        readers.read_at_most(tmp_path / "pipe", 5)


def test_the_published_files_are_far_from_the_limits(shared: Path) -> None:
    for path in shared.glob("annotations/*/*.json"):
        readers.check_json(path.read_bytes())
    captions = shared / "annotations" / "MSVD" / "raw-captions.pkl"
    loaded = readers.load_pickle(captions.read_bytes(), ADMITTED)
    assert loaded == pickle.loads(captions.read_bytes(), encoding="utf-8")
