"""datasets.yaml: complete, consistent, and the source of docs/protocols.md."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from xbench.data.benchmarks import activitynet, didemo, lsmdc, msrvtt, msvd
from xbench.errors import UsageError
from xbench.registry.datasets import Benchmark, Protocol, benchmark, benchmarks, protocol, protocols

ROOT = Path(__file__).resolve().parent.parent.parent
READINGS = {
    "msrvtt": msrvtt.Reading,
    "msvd": msvd.Reading,
    "lsmdc": lsmdc.Reading,
    "didemo": didemo.Reading,
    "activitynet": activitynet.Reading,
}


def test_there_are_five_benchmarks_22_protocols_and_three_validation_sets() -> None:
    assert list(benchmarks()) == ["msrvtt", "msvd", "lsmdc", "didemo", "activitynet"]
    validation = {name for name, entry in protocols().items() if entry.validation}
    assert validation == {"msvd/val", "lsmdc/val", "didemo/paragraph-val"}
    assert len(protocols()) == 22 + len(validation)


def test_default_protocols_and_settings_are_the_published_ones() -> None:
    defaults = {entry.default_protocol: (entry.words, entry.frames) for entry in benchmarks().values()}
    assert defaults == {
        "msrvtt/1ka": (32, 12),
        "msvd/test": (32, 12),
        "lsmdc/test": (32, 12),
        "didemo/paragraph": (64, 64),
        "activitynet/val1-paragraph": (64, 64),
    }


@pytest.mark.parametrize("entry", protocols().values(), ids=lambda entry: entry.id)
def test_every_protocol_can_be_read_or_is_only_recognised(entry: Protocol) -> None:
    if entry.recognised_only:
        assert entry.id == "lsmdc/header-bug-999"
        return
    reading = READINGS[entry.benchmark].model_validate(entry.read)
    named = {value for value in reading.model_dump().values() if isinstance(value, str) and "." in value}
    listed = {name for one in entry.files for name in ((one,) if isinstance(one, str) else one)}
    assert {name for name in named if not name.startswith(".")} <= listed


def test_fingerprints_of_all_protocols_differ() -> None:
    hashes = [entry.sha256 for entry in protocols().values() if entry.sha256]
    assert len({each.pairs_sorted for each in hashes}) == len(hashes)
    assert len({each.pairs_ws_normalised_sorted for each in hashes}) == len(hashes)


def test_unknown_ids_suggest_the_closest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'activitynet'"):
        benchmark("activity-net")
    with pytest.raises(UsageError, match="Did you mean 'msrvtt/1kb'"):
        protocol("msrvtt/1k-b")


def test_a_wrong_entry_is_refused_by_name() -> None:
    good = benchmark("msvd").model_dump(exclude={"protocols"}, exclude_unset=True) | {"fetch": {}}
    entry = {"title": "t", "rule": "r", "files": ["f"], "captions": 1, "read": {}}
    with pytest.raises(ValidationError, match="'msvd/test' is not a protocol of it"):
        Benchmark.model_validate(good | {"protocols": {"val": entry}})
    with pytest.raises(ValidationError, match="not both"):
        Benchmark.model_validate(good | {"protocols": {"test": entry | {"recognised_only": True}}})
    with pytest.raises(ValidationError, match="captoins"):
        Benchmark.model_validate(good | {"protocols": {"test": entry | {"captoins": 1}}})


def test_the_page_of_protocols_is_what_datasets_yaml_says() -> None:
    command = [sys.executable, str(ROOT / "tools" / "make_protocol_table.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_check_of_the_page_notices_a_change(tmp_path: Path) -> None:
    copy = tmp_path / "tools" / "make_protocol_table.py"
    copy.parent.mkdir()
    copy.write_text((ROOT / "tools" / "make_protocol_table.py").read_text("utf-8"), "utf-8")
    page = tmp_path / "docs" / "protocols.md"
    page.parent.mkdir()
    page.write_text((ROOT / "docs" / "protocols.md").read_text("utf-8").replace("27,763", "27,764"), "utf-8")
    checked = subprocess.run([sys.executable, str(copy), "--check"], capture_output=True, check=False)
    assert checked.returncode == 1


@pytest.mark.parametrize("entry", benchmarks().values(), ids=lambda entry: entry.id)
def test_a_benchmark_is_named_in_its_room_and_in_help_texts_alone(entry: Benchmark) -> None:
    """Whoever changes what is true of one benchmark changes one file, and datasets.yaml."""
    words = {entry.id, entry.name.split()[0].lower()}
    named = {
        path.relative_to(ROOT / "xbench").as_posix()
        for path in (ROOT / "xbench").rglob("*.py")
        if any(word in path.read_text("utf-8").lower() for word in words)
    }
    assert {name for name in named if not name.startswith("cli/")} == {f"data/benchmarks/{entry.id}.py"}
