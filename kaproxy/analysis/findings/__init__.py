"""What stands out in the tables: each file finds one kind of thing, and says it in sentences with numbers.

Read next: `finding.py` for what a finding is.
"""
