"""`xbench verify`: honest results hold, whatever a forger makes consistent is caught by scoring again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tests.pipeline.conftest import STEMS, World, write_video
from tests.reports.record_examples import HASHES, per_query, result
from xbench.cli import main
from xbench.data.recognition import known_ids
from xbench.errors import UsageError
from xbench.metrics.measures import DEFAULT_MEASURES
from xbench.pipeline.options import RUN
from xbench.pipeline.rescoring import NO_MATTER, PLACES, RETAKEN, plan_of
from xbench.reports.record.files import read, save
from xbench.reports.record.per_query import PerQuery, keys_of_videos, scored
from xbench.reports.record.schema import Checkpoint, Record, Videos
from xbench.scorers.catalog import ResolvedModel


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def record(world: World) -> Path:
    assert CliRunner().invoke(main, world.arguments()).exit_code == 0
    (path,) = world.output.glob("*.json")
    return path


def rescore(world: World, path: Path, *more: str | Path, weights: Path | None = None) -> Result:
    return invoke(
        *("verify", path, "--rescore", "6", "--annotations", world.annotations, "--videos", world.videos),
        *("--checkpoint", weights or world.checkpoint, "--bpe", world.bpe, *more),
    )


def forge(path: Path, change: Callable[[PerQuery], PerQuery] = lambda counts: counts, **fields: Any) -> Path:
    """Rewrite counts, numbers, record and every hash alike, as a forger with this very code would."""
    measured = read(path)
    counts = change(measured.counts)
    numbers = scored(counts.t2v, counts.v2t, counts.caption_to_video, measures=DEFAULT_MEASURES)
    values = {**measured.record.model_dump(), **numbers, "per_query": None, **fields}
    forged, _ = save(Record.model_validate(values), counts, path.parent / "forged")
    assert invoke("verify", forged).exit_code == 0, "a forgery that proves itself is what is wanted here"
    return forged


def all_first(counts: PerQuery) -> PerQuery:
    return replace(
        counts,
        t2v=replace(counts.t2v, better=counts.t2v.better * 0),
        v2t=replace(counts.v2t, better=counts.v2t.better * 0),
    )


def test_an_honest_result_holds(world: World, record: Path) -> None:
    plain = invoke("verify", record)
    assert plain.exit_code == 0, plain.output
    assert invoke("verify", record.with_suffix(".npz"), record).stdout == plain.stdout
    for name in ("counts", "numbers", "protocol", "name"):
        assert f"ok  {name}" in plain.stdout
    for more in ((), ("--rescore-gallery",), ("--precision", "bf16"), ("--seed", "7")):
        done = rescore(world, record, *more)
        assert done.exit_code == 0, done.output
        assert "ok  rescored" in done.stdout
        assert "ok  ranks" in done.stdout
    assert "seed 7," in done.stdout
    assert not list(world.output.glob("cache*"))


def test_a_bot_reads_json(world: World, record: Path) -> None:
    found = json.loads(rescore(world, record, "--json", "--seed", "3").stdout)
    assert found["holds"] is True
    (one,) = found["results"]
    assert one["comparable"] is False
    assert one["rescored"]["seed"] == 3
    assert one["rescored"]["captions"] == 6
    assert one["rescored"]["largest"] <= one["rescored"]["allowed"]
    assert all(finding["right"] for finding in one["findings"])


def test_ranks_that_were_made_up_are_caught(world: World, record: Path) -> None:
    forged = forge(record, all_first)
    done = rescore(world, forged)
    assert done.exit_code == 3
    assert "ok  rescored" in done.stdout  # he left the scores alone
    assert "NO  ranks" in done.stdout
    assert "counts 0 better rivals" in " ".join(done.stdout.split())


def test_one_rank_that_was_made_up_is_caught_by_the_gallery(world: World, record: Path) -> None:
    def one_better(counts: PerQuery) -> PerQuery:
        better = counts.t2v.better.copy()
        better[np.argmax(better)] -= 1
        return replace(counts, t2v=replace(counts.t2v, better=better))

    done = rescore(world, forge(record, one_better), "--rescore-gallery")
    assert done.exit_code == 3
    assert "1 counts contradict all videos" in " ".join(done.stdout.split())


def test_scores_that_were_made_up_with_the_ranks_are_caught(world: World, record: Path) -> None:
    def lifted(counts: PerQuery) -> PerQuery:
        first = all_first(counts)
        return replace(first, t2v=replace(first.t2v, right=first.t2v.right + 1))

    done = rescore(world, forge(record, lifted))
    assert done.exit_code == 3
    assert "NO  rescored" in done.stdout
    assert "the very video files" in " ".join(done.stdout.split())


def test_a_result_of_other_weights_is_caught(world: World, record: Path, tmp_path: Path) -> None:
    """The forger trained one model and names the sha256 of another, which he hands in."""
    other = tmp_path / "other.bin"
    state = torch.load(world.checkpoint, weights_only=True)
    noise = {name: value + 0.1 * torch.randn_like(value) for name, value in state.items()
             if value.is_floating_point()}  # fmt: skip
    torch.save(state | noise, other)
    done = rescore(world, record, weights=other)
    assert done.exit_code == 3
    assert "the record names weights with the sha256" in " ".join(done.stdout.split())
    from xbench.storage import file_sha256

    named = read(record).record
    identity = {**(named.scorer.identity or {}), "weights": file_sha256(other)}
    forged = forge(
        record,
        checkpoint=Checkpoint(file="other.bin", sha256=file_sha256(other)).model_dump(),
        scorer={**named.scorer.model_dump(), "identity": identity},
    )
    done = rescore(world, forged, weights=other)
    assert done.exit_code == 3
    assert "NO  rescored" in done.stdout


def test_a_model_that_is_described_otherwise_is_caught(world: World, record: Path) -> None:
    scorer = read(record).record.scorer.model_dump()
    larger = {**scorer, "settings": {**scorer["settings"], "backbone": "ViT-L/14"}}
    for said, fields in (
        ("ViT-L/14", {"scorer": larger}),
        ("True", {"scorer": {**scorer, "zero_shot": True}}),  # for a board of its own
        ("CLIP4Clip-meanP", {"scorer": {**scorer, "published": "CLIP4Clip-meanP"}}),
        ("bf16", {"precision": "bf16"}),  # for its tolerance
    ):
        done = rescore(world, forge(record, **fields))
        assert done.exit_code == 3
        assert f"the record says {said}" in " ".join(done.stdout.split())


def test_other_video_files_are_named_as_such(world: World, record: Path) -> None:
    write_video(world.videos / "somewhere" / STEMS[0], seed=77)
    done = rescore(world, record)
    assert done.exit_code == 3
    assert "other video files than there" in " ".join(done.stdout.split())


def test_other_captions_are_caught(world: World, record: Path) -> None:
    file = world.annotations / "test_data.json"
    file.write_text(file.read_text().replace("a dog runs", "a dog sits"))
    done = rescore(world, record)
    assert done.exit_code == 3
    assert "the annotations here are not those of the record" in " ".join(done.stdout.split())


def test_a_matrix_has_nothing_to_encode_again(world: World, tmp_path: Path) -> None:
    np.save(tmp_path / "matrix.npy", np.eye(6, dtype=np.float32))
    done = invoke(
        *("score", tmp_path / "matrix.npy", "--rows", "captions", "--dataset", "didemo"),
        *("--annotations", world.annotations, "--output", world.output),
    )
    assert done.exit_code == 0, done.output
    (path,) = world.output.glob("*.json")
    assert invoke("verify", path).exit_code == 0
    done = rescore(world, path)
    assert done.exit_code == 3
    assert "its scores come from a matrix" in " ".join(done.stdout.split())


def test_every_option_of_a_run_is_known_to_change_scores_or_not() -> None:
    """Whoever adds one must say which: a sample that is scored without it would call honest results false."""
    assert {*RETAKEN, *PLACES, *NO_MATTER} == set(RUN)


def test_code_that_a_record_names_is_not_run(world: World, record: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(
        f"import pathlib; pathlib.Path({str(tmp_path / 'sprung')!r}).touch()\nclass Model: pass\n"
    )
    settings = read(record).record.settings.model_dump()
    settings["passed"]["model"] = f"{trap}:Model"
    done = rescore(world, forge(record, settings=settings))
    assert done.exit_code == 3
    assert "code that a record names is not run" in " ".join(done.stdout.split())
    assert not (tmp_path / "sprung").exists()


def test_what_is_missing_or_damaged_does_not_hold(world: World, record: Path, tmp_path: Path) -> None:
    shutil.copy(record, tmp_path / "alone.json")
    alone = invoke("verify", tmp_path / "alone.json")
    assert alone.exit_code == 3
    assert "a claim that nothing proves" in " ".join(alone.stdout.split())
    text = record.read_text()
    record.write_text(text.replace('"value": ', '"value": 1'))
    both = invoke("verify", record, tmp_path / "alone.json")
    assert both.exit_code == 3
    assert "contradicts itself" in both.stdout
    assert "2 of 2 results do not hold or could not be checked" in both.stderr
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "nothing.json"):
        assert invoke("verify", wrong).exit_code == 3


def test_a_model_of_a_folder_is_looked_for_among_the_folders(
    world: World, record: Path, tmp_path: Path
) -> None:
    found = read(record).record
    passed = found.settings.passed | {"model": "hf", "checkpoint": "where/it/was"}
    of_folder = found.model_copy(
        update={"checkpoint": None, "settings": found.settings.model_copy(update={"passed": passed})}
    )
    here = {"annotations": str(world.annotations), "videos": str(world.videos)}
    model = plan_of(of_folder, here | {"checkpoint": (world.checkpoint, tmp_path)}).model
    assert isinstance(model, ResolvedModel)
    assert model.request.checkpoint == tmp_path
    for wrong in ((), (world.checkpoint,), (tmp_path, Path("org/model"))):
        with pytest.raises(UsageError, match="give the one that its model was loaded from"):
            plan_of(of_folder, here | {"checkpoint": wrong})
    beside = rescore(world, record, "--checkpoint", tmp_path)
    assert beside.exit_code == 0, beside.output


def test_what_must_be_said_is_asked_for(world: World, record: Path, tmp_path: Path) -> None:
    asked = invoke("verify", record, "--rescore", "6", "--annotations", world.annotations,
                   "--videos", world.videos, "--bpe", world.bpe)  # fmt: skip
    assert asked.exit_code == 3
    assert "--rescore needs the weights: give --checkpoint FILE" in " ".join(asked.stdout.split())
    for wrong in (("--seed", "3"), ("--rescore-gallery",), ("--rescore", "0"), ("--rescore", "many")):
        assert invoke("verify", record, *wrong).exit_code == 2
    for wrong in (
        *(("--precision", "fp7"), ("--precision", "tf32"), ("--device", "tpu"), ("--workers", "0")),
        *(("--model", "xclop"), ("--checkpoint", tmp_path / "gone.bin"), ("--videos", "msvd=here")),
    ):
        done = (
            rescore(world, record, *wrong, "--device", "cpu")
            if "tf32" in wrong
            else rescore(world, record, *wrong)
        )
        assert done.exit_code == 2, wrong
        assert not done.stdout


def test_a_result_that_cannot_be_checked_is_named_beside_the_findings_of_others(
    world: World, record: Path, tmp_path: Path
) -> None:
    """Each lacks something else that only a usage error tells: none of them silences the others."""
    said = read(record).record
    settings = said.settings.model_dump()
    made = {
        "a model's code": {
            "settings": settings | {"passed": settings["passed"] | {"model": "their.py:Model"}}
        },
        "other weights": {"checkpoint": Checkpoint(file="their.bin", sha256="0" * 64).model_dump()},
        "a whole model": {"checkpoint": None},
        "an unknown rule": {"settings": settings | {"passed": settings["passed"] | {"sampling": "often"}}},
    }
    (tmp_path / "all").mkdir()
    own = shutil.copy(record.with_suffix(".npz"), tmp_path / "all")
    shutil.copy(record, tmp_path / "all")
    names = {}
    for name, fields in made.items():
        forged = forge(record, **fields)
        names[name] = forged.name
        for suffix in (".json", ".npz"):
            shutil.copy(forged.with_suffix(suffix), tmp_path / "all")
    done = rescore(world, tmp_path / "all", "--json")
    assert done.exit_code == 3, done.output
    assert "4 of 5 results do not hold or could not be checked" in done.stderr
    found = {Path(each["file"]).name: each for each in json.loads(done.stdout)["results"]}
    assert found[Path(own).with_suffix(".json").name]["holds"]
    for name, file in names.items():
        assert not found[file]["holds"], name
        assert found[file]["findings"][-1]["name"] == "rescored"


PUBLIC = known_ids(HASHES["ids"]) or []


def saved(folder: Path, ids: list[str], **fields: Any) -> Path:
    """A result on msrvtt/1ka whose counts have the keys of these ids."""
    counts = replace(per_query(len(ids)), video_keys=keys_of_videos(ids))
    record = result(per_query()) if len(ids) == len(PUBLIC) else result(per_query(), **partial(counts, ids))
    return save(record.model_copy(update=fields), counts, folder)[0]


def partial(counts: PerQuery, ids: list[str]) -> dict[str, Any]:
    gone = sorted({*PUBLIC} - {*ids})
    numbers = scored(counts.t2v, counts.v2t, counts.caption_to_video, measures=DEFAULT_MEASURES)
    videos = Videos(wanted=len(PUBLIC), scored=len(ids), missing=gone)
    return {"not_comparable_because": [f"{len(gone)} videos are missing"], "videos": videos, **numbers}


def test_counts_are_held_against_the_ids_of_the_protocol(tmp_path: Path) -> None:
    for number, honest in enumerate((PUBLIC, PUBLIC[::-1], PUBLIC[:-3])):
        done = invoke("verify", saved(tmp_path / str(number), honest))
        assert done.exit_code == 0, done.output
        assert "the counts are of its videos" in " ".join(done.stdout.split())
    for number, made_up in enumerate(
        (
            [f"made up {index}" for index in range(len(PUBLIC))],
            [*PUBLIC[1:], "other"],
            [*PUBLIC[1:], PUBLIC[5]],
        )
    ):
        done = invoke("verify", saved(tmp_path / f"made up {number}", made_up))
        assert done.exit_code == 3
        assert "NO  protocol" in done.stdout
        assert "its counts are of other videos than its fingerprint" in " ".join(done.stdout.split())


def test_ids_are_held_where_the_text_is_nobody_elses(tmp_path: Path) -> None:
    """Own captions of a protocol's videos: no known protocol, but its ids are known."""
    said = result().protocol
    found = said.fingerprint.model_copy(update={"pairs_ws_normalised_sorted": "0" * 64})
    own = said.model_copy(update={"matched": None, "fingerprint": found})
    fields = {"protocol": own, "comparable": False, "not_comparable_because": ["own captions"]}
    assert invoke("verify", saved(tmp_path / "own", PUBLIC, **fields)).exit_code == 0
    assert invoke("verify", saved(tmp_path / "made up", [*PUBLIC[1:], "other"], **fields)).exit_code == 3


@pytest.mark.parametrize("name", ["", " "])
def test_a_record_without_the_name_of_its_protocol_does_not_hold(tmp_path: Path, name: str) -> None:
    said = result().protocol.model_copy(update={"requested": name})
    done = invoke("verify", saved(tmp_path, PUBLIC, protocol=said))
    assert done.exit_code == 3
    assert "it does not say which protocol was asked for" in " ".join(done.stdout.split())
