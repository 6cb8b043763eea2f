"""Training of the miniature checkpoint that ships with xbench; see ../train_miniature.py."""
