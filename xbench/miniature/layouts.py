"""The annotation files of the miniature benchmarks, named and built as the official ones are."""

import io
import json
import pickle
from collections.abc import Callable, Sequence

from xbench.miniature.benchmarks import Clip

Files = dict[str, bytes]
"""File name -> content."""


def file_names(benchmark: str, clips: Sequence[Clip]) -> list[str]:
    """Return the names of the video files, in the form that each benchmark's files have."""
    return [_NAMES[benchmark](number, clip) for number, clip in enumerate(clips)]


def annotation_files(benchmark: str, clips: Sequence[Clip]) -> Files:
    """Return the annotation files of a benchmark, which its adapter reads."""
    return _WRITERS[benchmark](file_names(benchmark, clips), clips)


def _msrvtt(names: Sequence[str], clips: Sequence[Clip]) -> Files:
    ids = [_stem(name) for name in names]
    rows = [
        f"ret{i},msr{video.removeprefix('video')},{video},{clip.sentences[0]}"
        for i, (video, clip) in enumerate(zip(ids, clips, strict=True))
    ]
    videos = [
        {
            "category": 0,
            "url": "",
            "video_id": video,
            "start time": 0.0,
            "end time": float(clip.scene.seconds),
            "split": "test",
            "id": number,
        }
        for number, (video, clip) in enumerate(zip(ids, clips, strict=True))
    ]
    told = [(video, text) for video, clip in zip(ids, clips, strict=True) for text in clip.sentences]
    sentences = [
        {"caption": text, "video_id": video, "sen_id": number} for number, (video, text) in enumerate(told)
    ]
    return {
        "MSRVTT_JSFUSION_test.csv": _lines(["key,vid_key,video_id,sentence", *rows]),
        "MSRVTT_data.json": _json({"info": {}, "videos": videos, "sentences": sentences}),
    }


def _msvd(names: Sequence[str], clips: Sequence[Clip]) -> Files:
    ids = [_stem(name) for name in names]
    captions = {
        video: [text.split() for text in clip.sentences] for video, clip in zip(ids, clips, strict=True)
    }
    return {"test_list.txt": _lines(ids), "raw-captions.pkl": _pickle(captions)}


def _lsmdc(names: Sequence[str], clips: Sequence[Clip]) -> Files:
    rows = []
    for name, clip in zip(names, clips, strict=True):
        start, end = _stem(name).rpartition("_")[2].split("-")
        rows.append("\t".join((_stem(name), start, end, start, end, clip.sentences[0])))
    return {"LSMDC16_challenge_1000_publictect.csv": _lines(rows)}


def _didemo(names: Sequence[str], clips: Sequence[Clip]) -> Files:
    """Segments are of five seconds; four annotators agree."""
    told = [
        {"num_segments": len(clip.scene.acts), "description": text, "dl_link": "", "times": [[i, i]] * 4}
        | {"video": name}
        for name, clip in zip(names, clips, strict=True)
        for i, text in enumerate(clip.sentences)
    ]
    entries = [entry | {"annotation_id": number} for number, entry in enumerate(told)]
    return {"test_list.txt": _lines(sorted(names)), "test_data.json": _json(entries)}


def _activitynet(names: Sequence[str], clips: Sequence[Clip]) -> Files:
    """Sentences begin with a space, as most of the official ones do."""
    entries = {
        _stem(name): {
            "duration": float(clip.scene.seconds),
            "timestamps": [[round(act.start, 2), round(act.end, 2)] for act in clip.scene.acts],
            "sentences": [f" {text}" if i else text for i, text in enumerate(clip.sentences)],
        }
        for name, clip in zip(names, clips, strict=True)
    }
    return {"val_ids.json": _json(sorted(entries)), "val_1.json": _json(entries)}


def _lsmdc_name(number: int, clip: Clip) -> str:
    minute, second = divmod(number * 10, 60)
    times = [f"00.{minute:02}.{second + extra:02}.000" for extra in (0, clip.scene.seconds)]
    return f"0001_Miniature_{'-'.join(times)}.avi"


_NAMES: dict[str, Callable[[int, Clip], str]] = {
    "msrvtt": lambda number, clip: f"video{number}.mp4",
    "msvd": lambda number, clip: f"mini{number:07}_0_{clip.scene.seconds}.mp4",
    "lsmdc": _lsmdc_name,
    "didemo": lambda number, clip: f"10000000@N00_{number:010}_mini{('.mp4', '.mov', '.m4v')[number % 3]}",
    "activitynet": lambda number, clip: f"v_mini{number:07}.mp4",
}

_WRITERS: dict[str, Callable[[Sequence[str], Sequence[Clip]], Files]] = {
    "msrvtt": _msrvtt,
    "msvd": _msvd,
    "lsmdc": _lsmdc,
    "didemo": _didemo,
    "activitynet": _activitynet,
}


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"


def _pickle(content: object) -> bytes:
    """Protocol 2 without memo: equal strings need not be one object, so equal content gives equal bytes."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=2)
    pickler.fast = True
    pickler.dump(content)
    return buffer.getvalue()
