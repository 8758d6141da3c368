"""A call of a model: what answers it, alone or in a batch, simulated or real."""
