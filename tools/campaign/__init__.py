"""The fault campaign: every kind of fault is made on purpose; xbench must name each, or be right anyway."""
