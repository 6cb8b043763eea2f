"""Features that were computed elsewhere, scored as they are."""

from xbench.scorers.features.scorer import PrecomputedFeatures, Similarity

__all__ = ["PrecomputedFeatures", "Similarity"]
