"""The way of every call through the simulator: the journal records it, and a fault may be applied to it."""
