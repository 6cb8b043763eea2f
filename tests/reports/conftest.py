"""A browser for the pages, and hypothesis without deadlines: a busy machine is no failure."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tools.browser import Browser, find_chromium

settings.register_profile("xbench", deadline=None)
settings.load_profile("xbench")


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """A headless Chromium. Without one the test is skipped, or fails where $XBENCH_REQUIRE_BROWSER is set."""
    executable = find_chromium()
    if executable is None:
        message = "there is no Chromium: apt-get install chromium, or set CHROMIUM to its path"
        if os.environ.get("XBENCH_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return Browser(executable, tmp_path)
