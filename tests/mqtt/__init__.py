"""Tests of kaproxy.mqtt."""
