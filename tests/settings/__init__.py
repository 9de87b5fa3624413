"""Tests of kaproxy/settings."""
