"""The part of a report that shows captions with the videos that were found for them."""

from collections.abc import Container, Sequence
from html import escape

from xbench.reports.page.findings import Material, Query
from xbench.reports.pages import tag


def query_sections(
    anchor: str, title: str, queries: Sequence[Query], material: Material, thumbnails: Container[int]
) -> list[str]:
    """Return a heading and the queries below it. thumbnails: the videos that have a picture in the page."""
    notes = (
        [] if anchor != "worst" else [tag("p", escape(note), class_="remark") for note in material.missing]
    )
    shown = [_query(query, material, thumbnails) for query in queries]
    return [tag("h2", escape(title), id=anchor), *notes, *shown]


def _query(query: Query, material: Material, thumbnails: Container[int]) -> str:
    caption = f"caption {query.index + 1}" if material.captions is None else material.captions[query.index]
    rank = f"{query.rank:,.0f}" if query.rank == int(query.rank) else f"{query.rank:,.1f} (tied)"
    videos = [_video(query.video, query.score, "right", material, thumbnails)]
    videos += [_video(video, score, "wrong", material, thumbnails) for video, score in query.wrong]
    inside = [
        tag("h3", escape(" ".join(caption.split()))),
        tag("p", f"The right video has rank {rank}.", class_="remark"),
        tag("ul", "".join(videos), class_="videos"),
    ]
    return tag("article", "".join(inside), class_="query")


def _video(video: int, score: float, kind: str, material: Material, thumbnails: Container[int]) -> str:
    name = f"video {video + 1}" if material.video_ids is None else material.video_ids[video]
    label = "right video" if kind == "right" else "wrong"
    picture = (
        tag("span", "", class_=f"thumb v{video}", role="img", aria_label=f"a frame of {name}")
        if video in thumbnails
        else ""
    )
    text = f"{escape(name)}<br>{tag('span', f'{label}, score {score:.3g}', class_='soft')}"
    return tag("li", picture + text, class_=kind)
