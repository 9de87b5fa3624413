"""Proofs under load: the real proxy in its own process, thousands of connections, a gigabyte of bytes."""
