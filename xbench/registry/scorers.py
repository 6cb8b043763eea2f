"""The scorers that come with xbench, announced as a package announces its own: by name, and where they are.

Nothing is loaded until a name is asked for. What a scorer is, needs and is called in papers, it says itself.
"""

SHIPPED = {
    "xclip": "xbench.scorers.xclip.load:trained",
    "xclip-zeroshot": "xbench.scorers.xclip.load:untrained",
    "clip4clip": "xbench.scorers.clip4clip.load:trained",
    "clip": "xbench.scorers.clip4clip.load:untrained",
    "xpool": "xbench.scorers.xpool.load:trained",
    "wti": "xbench.scorers.wti.load:trained",
    "hf": "xbench.scorers.hf:build",
    "open_clip": "xbench.scorers.open_clip:build",
    "features": "xbench.scorers.features.scorer:build",
}
"""Name -> `package.module:attribute`; the first line of its docstring says what it is."""
