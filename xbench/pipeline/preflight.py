"""What comes before encoding: annotations read, files found, everything that would stop a run later."""

from xbench.data.loading import load_split
from xbench.data.recognition import Recognition, recognise
from xbench.data.split import Split
from xbench.metrics.dsl import require_one_to_one
from xbench.pipeline.gallery import Gallery, find_videos, open_gallery, refuse_faulty, refuse_missing
from xbench.pipeline.request import Request, require_writable
from xbench.progress import stage


def load(request: Request) -> tuple[Split, Recognition]:
    """Read the annotations and tell which protocol they are."""
    split = load_split(request.benchmark, request.annotations, request.protocol)
    if request.limit is not None:
        split = split.limit(request.limit)
    if request.miniature and split.cut_from is None:  # of no published protocol, and said to be so elsewhere
        return split, Recognition(protocol=None, notes=(), reasons=())
    return split, recognise(split)


def preflight(request: Request, *, needs_videos: bool) -> None:
    """Find out in seconds what would stop a run later: reads the annotations, finds the files, opens none.

    Raises DataError when videos are missing or the similarity could not be saved, UsageError when the
    post-processing makes no sense for the protocol.
    """
    split, _ = load(request)
    if request.post == "dsl":
        require_one_to_one(split.caption_to_video, len(split.videos))
    if request.save_similarity is not None:
        require_writable(request.save_similarity.parent, "The similarity matrix")
    if needs_videos:
        missing = find_videos(split, request.videos).missing
        refuse_missing(missing, len(split.videos), request)


def check(request: Request) -> tuple[Split, Recognition, Gallery]:
    """Do what `run` does before it encodes: read the annotations, find and open every video file.

    Raises DataError as `run` does.
    """
    split, recognition = load(request)
    with stage(f"{request.benchmark}: opening videos", len(split.videos), "videos") as advance:
        gallery = open_gallery(split, request.videos, lambda job: False, advance)
    refuse_missing(gallery.missing, len(split.videos), request)
    refuse_faulty(gallery.unreadable, len(split.videos), request)
    return split, recognition, gallery
