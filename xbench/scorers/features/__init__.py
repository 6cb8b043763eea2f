"""Features that were computed elsewhere, scored as they are."""
