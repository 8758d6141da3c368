"""The same calls to the simulator and to the real service, and where the shapes of their answers differ."""
