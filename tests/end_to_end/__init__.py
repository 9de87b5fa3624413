"""Verdicts against what really happened: real brokers, real clients, real timers, one scenario per drop."""
