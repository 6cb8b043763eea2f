"""Writes a scene as an H.264 file. With one build of libx264 the file is the same on every machine."""

from fractions import Fraction
from pathlib import Path

from xbench.errors import DataError
from xbench.miniature.backdrop import HEIGHT, WIDTH
from xbench.miniature.drawing import frame
from xbench.miniature.scene import Scene

FPS = 8

# One thread and cpu-independent: libx264 else picks what to skip by the number and kind of the cores.
_OPTIONS = {"preset": "veryfast", "crf": "16", "x264-params": "cpu-independent=1:bframes=0:keyint=32"}


def write_clip(path: Path, scene: Scene) -> None:
    """Encode a scene at FPS frames a second, WIDTH x HEIGHT, YUV 4:2:0; the ending names the container."""
    import av

    if "libx264" not in av.codecs_available:
        raise DataError(
            f"Cannot write {path}: this PyAV ({av.__version__}) was built without libx264; "
            "install the wheel from PyPI: pip install --force-reinstall --only-binary av av"
        )
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, FPS)
        for number in range(scene.seconds * FPS):
            picture = av.VideoFrame.from_ndarray(frame(scene, number / FPS), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
