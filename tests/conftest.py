"""Fixtures that every test may use."""

import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # Then the kernels run in Triton's interpreter, which must be asked for before triton is imported, and
    # transformers imports it.
    os.environ.setdefault("TRITON_INTERPRET", "1")
else:
    # Which kernel is the fastest is remembered there, and a user's choices are not the tests' to make.
    cache = tempfile.TemporaryDirectory(prefix="xbench-tests-")  # goes with this module
    os.environ["XBENCH_CACHE"] = cache.name

if threading.current_thread() is threading.main_thread():
    # `nohup` and jobs in the background start with Ctrl-C ignored, and what tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = Path(__file__).resolve().parent / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of the small files that ship with the tests."""
    return FIXTURES


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and real annotations beside the checkout; developers and CI have it."""
    folder = ROOT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("the folder ../shared with golden files and real annotations is not on this machine")
    return folder
