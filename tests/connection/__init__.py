"""Tests of kaproxy.connection: numbers in, events and evidence out."""
