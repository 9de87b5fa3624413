"""Tests of kaproxy.diagnosis."""
