"""Measures kaproxy beside HAProxy on one machine, in one run, as ratios. Start at `__main__.py`."""
