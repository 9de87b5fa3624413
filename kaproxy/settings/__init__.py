"""Settings: how a configuration value is read, checked, shown, and traced back to where it was given.

`kinds.py` knows one value at a time, `sources.py` knows files, variables and flags, `sample.py` writes the
reference file. None of them knows a key of kaproxy's: those stand in `kaproxy/config.py`, read that next.
"""
