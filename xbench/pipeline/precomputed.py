"""Score features that were computed elsewhere: found by id or by order, no video file needed."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from xbench.data.split import Split
from xbench.engine.encoding import FeatureTable
from xbench.engine.similarity import distinct
from xbench.engine.units import Queries
from xbench.errors import DataError
from xbench.pipeline.ids import Ints, caption_ids, rows_of, video_ids, without_extensions
from xbench.pipeline.plan import RunPlan
from xbench.pipeline.ranking import Workplace, rank_both_ways
from xbench.pipeline.record import CountsByPost
from xbench.scorers.base import Features
from xbench.scorers.features import PrecomputedFeatures
from xbench.scorers.features.file import FeatureFile

_ABSENT = -1


def match_features(scorer: PrecomputedFeatures, plan: RunPlan) -> tuple[Split, Ints, Ints, tuple[str, ...]]:
    """Return what can be scored: the split, the rows of its captions and of its videos, the missing videos.

    Files without ids are in the order of the whole split. Raises DataError when a caption has no features, or
    a video has none and that was not allowed.
    """
    split = plan.split
    rows = _rows(scorer.videos, [video_ids(split)], f"videos of {split.protocol}")
    missing = tuple(video.id for video, row in zip(split.videos, rows, strict=True) if row == _ABSENT)
    if missing and (not plan.allow_missing or len(missing) == len(split.videos)):
        raise DataError(
            f"{scorer.videos.path} has no features for {len(missing)} of the {len(split.videos)} videos of "
            f"{split.protocol}: {', '.join(missing[:10])}{' ...' if missing[10:] else ''}. Its ids are like "
            f"{_example(scorer.videos)!r}. Add them, or score the rest with --allow-missing (NOT COMPARABLE)."
        )
    scored = split.without(missing)
    kept = np.flatnonzero(~np.isin(split.caption_to_video, np.flatnonzero(rows == _ABSENT)))
    ways = [[way[index] for index in kept] for way in caption_ids(split)]
    if scorer.texts.ids is None:
        captions = _rows(scorer.texts, caption_ids(split), f"captions of {split.protocol}")[kept]
    else:
        captions = _rows(scorer.texts, ways, f"captions of {split.protocol}")
    absent = np.flatnonzero(captions == _ABSENT)
    if len(absent):
        raise DataError(
            f"{scorer.texts.path} has no features for {len(absent)} of the {len(captions)} captions of "
            f"{split.protocol}, e.g. {ways[0][absent[0]]!r}. Its ids are like {_example(scorer.texts)!r}."
            " Name each "
            "caption VIDEO#N, by its text, or by its video's id where every video has one caption."
        )
    return scored, captions, rows[rows != _ABSENT], missing


def rank_features(
    scorer: PrecomputedFeatures, split: Split, rows: tuple[Ints, Ints], *, plan: RunPlan, place: Workplace
) -> CountsByPost:
    """Rank the captions and videos of a split, whose features stand at `rows` of the files, both ways."""
    captions, videos = rows
    with place.clock("read features"):
        texts = scorer.text_rows(captions)
        names, order = distinct(_digests(texts), split.caption_to_video)
        first = {row: caption for caption, row in reversed(list(enumerate(order.tolist())))}
        chosen = np.array([first[row] for row in range(len(names))])
        text_table = FeatureTable([{name: tensor[chosen] for name, tensor in texts.items()}])
        video_table = FeatureTable([scorer.video_rows(videos)])
    queries = Queries(order, split.caption_to_video)
    return rank_both_ways(scorer, text_table, video_table, queries, split.v2t, plan=plan, place=place)


def _rows(file: FeatureFile, ways: Sequence[Sequence[str]], what: str) -> Ints:
    """Return the row of each wanted item, -1 where the file has none; of several ways, the best."""
    wanted = len(ways[0])
    if file.ids is None:
        if len(file.vectors) != wanted:
            raise DataError(
                f"{file.path} has {len(file.vectors)} items and no ids, for the {wanted} {what}. Save its"
                " ids, or one item for each in the protocol's order."
            )
        return np.arange(wanted, dtype=np.int64)
    for way in ways:
        exact = rows_of(file.ids, way)
        if exact is not None:
            return exact
    return max((_lookup(file, way) for way in ways), key=lambda rows: int((rows != _ABSENT).sum()))


def _lookup(file: FeatureFile, wanted: Sequence[str]) -> Ints:
    assert file.ids is not None
    found = [_look_up(file, file.ids, wanted)]
    if (found[0] == _ABSENT).any():
        found.append(_look_up(file, without_extensions(file.ids), without_extensions(wanted)))
    return max(found, key=lambda rows: int((rows != _ABSENT).sum()))


def _look_up(file: FeatureFile, ids: Sequence[str], wanted: Sequence[str]) -> Ints:
    rows = {name: row for row, name in enumerate(ids)}
    twice = [name for name, count in Counter(ids).items() if count > 1 and name in set(wanted)]
    if twice:
        raise DataError(
            f"{file.path} has several features for {len(twice)} ids, e.g. {twice[0]!r}: keep one."
        )
    return np.array([rows.get(name, _ABSENT) for name in wanted], dtype=np.int64)


def _digests(features: Features) -> list[str]:
    """One name for each item's content: equal features are scored once, so that their ties are exact."""
    names = []
    for row in range(len(features["vectors"])):
        digest = hashlib.sha256()
        for tensor in features.values():
            digest.update(tensor[row].numpy().tobytes())
        names.append(digest.hexdigest())
    return names


def _example(file: FeatureFile) -> str:
    return file.ids[0] if file.ids else ""
