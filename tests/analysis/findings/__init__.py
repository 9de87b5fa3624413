"""Tests of what the analysis finds."""
