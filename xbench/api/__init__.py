"""The Python API: what the command line does, as functions.

    import xbench

    result = xbench.run("xclip", dataset, checkpoint="pytorch_model.bin.4", annotations=..., videos=...)
    result = xbench.run(model, "my.yaml")                                  # your own scorer and benchmark
    result = xbench.evaluate(similarity, caption_to_video=[0, 0, 1, 2])    # a matrix you have
    result.metrics["t2v"]["R@1"].value
    print(xbench.compare(result, other))                                   # by more than chance?

Nothing here keeps state between calls. Progress goes to stderr, results are returned and saved on request.
"""

from xbench.api.comparing import compare
from xbench.api.evaluating import evaluate, load_split
from xbench.api.result import Result
from xbench.api.running import run

__all__ = ["Result", "compare", "evaluate", "load_split", "run"]
