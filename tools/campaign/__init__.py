"""The fault campaign: xbench is given every kind of fault on purpose, and must name each or be right anyway."""
