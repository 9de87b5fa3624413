"""The laboratory: every way to drop, played with real brokers and clients, and how often the verdict was right."""
