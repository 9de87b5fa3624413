"""Real brokers and clients, scripted peers, and network namespaces, as parts for the end-to-end tests."""
