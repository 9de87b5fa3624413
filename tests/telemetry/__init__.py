"""Tests of kaproxy/telemetry."""
