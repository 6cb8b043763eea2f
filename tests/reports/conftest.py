"""Hypothesis without deadlines: a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("xbench", deadline=None)
settings.load_profile("xbench")
