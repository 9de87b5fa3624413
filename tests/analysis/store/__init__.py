"""Tests of the tables behind the analysis."""
