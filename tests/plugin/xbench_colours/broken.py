"""A module that does not import."""

import a_library_that_is_not_installed  # type: ignore[import-not-found]  # noqa: F401
