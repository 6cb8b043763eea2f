"""Weighted token interaction, which HBI and DRL score by.

HBI: Jin et al. 2023, arXiv:2303.14369. DRL: Wang et al. 2022, arXiv:2203.07111.
"""

from xbench.scorers.wti.load import load_wti
from xbench.scorers.wti.scorer import Wti

__all__ = ["Wti", "load_wti"]
