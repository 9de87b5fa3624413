"""Tests of kaproxy; the folders mirror the source tree."""
