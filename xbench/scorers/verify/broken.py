"""That a promise was found broken."""


class BrokenError(Exception):
    """A promise that is not kept, in a sentence."""
