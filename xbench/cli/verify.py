"""`xbench verify`: whether results prove themselves, for whoever keeps a board."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import as_keywords, option
from xbench.errors import DataError, UsageError, XbenchError, explain
from xbench.pipeline.options import count, split_by_benchmark

if TYPE_CHECKING:
    from xbench.pipeline.rescoring import Order
    from xbench.reports.check.proving import Proof


@click.command("verify", context_settings={"show_default": True})
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--rescore", metavar="N", help="Encode N captions and their videos again, drawn by chance.")
@click.option(
    "--rescore-gallery", is_flag=True, help="Score them against all videos, not only their own: exact ranks."
)
@click.option("--seed", metavar="N", help="Of what is drawn.  [default: another each time, printed]")
@click.option(
    "--checkpoint", multiple=True, metavar="FILE", help="Weights; each result takes those it names."
)
@option("annotations", metavar="DIR", help="Annotation files.  [default: $XBENCH_DATA/<Benchmark>]")
@option("videos", metavar="DIR", help="Video files.  [default: $XBENCH_DATA/<Benchmark>/videos]")
@click.option("--dataset", multiple=True, metavar="FILE", help="The YAML file of a benchmark of your own.")
@click.option("--model", metavar="NAME", help="Code of your own.  [default: what the result names]")
@option("clip", metavar="PATH|HUB_ID", help="CLIP weights, for a model that starts from them.")
@option("bpe", metavar="FILE", help="CLIP's vocabulary.  [default: $XBENCH_BPE]")
@option("device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@option("precision", help="[default: that of the result]")
@option("workers", metavar="N", help="Threads that decode ahead.")
@option("cache_dir", metavar="DIR", help="Keep features here, to go on when stopped.  [default: keep none]")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, and nothing else.")
def command(
    *,
    results: tuple[Path, ...],
    rescore: str | None,
    rescore_gallery: bool,
    seed: str | None,
    dataset: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Check RESULTS (JSON files, or folders of them): hashes, counts, numbers, protocol.

    With --rescore a sample is encoded again from your own video files, with the weights that the result
    names, and its right scores must be those stored, within a tolerance for other machines. Exit code 0: all
    hold. 3: one does not, or cannot be checked.
    """
    from xbench.registry.datasets import benchmark
    from xbench.reports.check.proof_text import proofs_json, render_proof
    from xbench.reports.check.proving import files_of

    for name in dataset:
        benchmark(name)
    order = _order(rescore, seed, gallery=rescore_gallery)
    proofs = _prove(files_of(results), order, as_keywords(given))
    if as_json:
        click.echo(json.dumps(proofs_json(proofs), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(render_proof(proof) for proof in proofs))
    wrong = sum(not proof.holds for proof in proofs)
    if wrong:
        raise DataError(
            f"{wrong} of {len(proofs)} results do not hold or could not be checked; stdout says why. Measure"
            " again those that do not hold, and give what the others lack."
        )


def _order(rescore: str | None, seed: str | None, *, gallery: bool) -> "Order | None":
    import secrets

    from xbench.pipeline.rescoring import Order

    if rescore is None:
        if gallery or seed is not None:
            raise UsageError("--rescore-gallery and --seed are about --rescore N: give that, too.")
        return None
    drawn = secrets.randbelow(2**31) + 1 if seed is None else count("--seed", seed)
    return Order(count("--rescore", rescore), drawn, gallery)


def _prove(files: Sequence[Path], order: "Order | None", given: dict[str, Any]) -> list["Proof"]:
    from xbench.data.recognition import known_ids
    from xbench.pipeline.rescoring import require_usable
    from xbench.reports.check.proving import prove

    proofs = [prove(file, known_ids) for file in files]
    if order is None:
        return proofs
    require_usable(given)
    names = sorted({each.measured.record.benchmark for each in proofs if each.measured and each.holds})
    paths = {
        name: split_by_benchmark(f"--{name}", given.pop(name, ()), names) if names else {}
        for name in ("annotations", "videos")
    }
    return [_rescored(proof, order, given, paths) for proof in proofs]


def _rescored(
    proof: "Proof", order: "Order", given: dict[str, Any], paths: dict[str, dict[str, str]]
) -> "Proof":
    """Add what scoring again finds; a result that contradicts itself is not scored.

    Whatever cannot be scored, for want of its weights too, is a finding of this result: others are told.
    """
    from dataclasses import replace

    from xbench.pipeline.rescoring import rescore
    from xbench.reports.check.proving import Finding

    if proof.measured is None or not proof.holds:
        return proof
    own = {name: found.get(proof.measured.record.benchmark) for name, found in paths.items()}
    try:
        found, numbers = rescore(proof.measured, given | own, order)
    except (XbenchError, OSError) as error:
        said = explain(error) if isinstance(error, OSError) else str(error)
        found, numbers = [Finding("rescored", False, said)], {}
    return replace(proof, findings=(*proof.findings, *found), rescored=numbers)
