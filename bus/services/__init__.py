"""Use cases over ports: what the bus does, whoever asks for it."""
