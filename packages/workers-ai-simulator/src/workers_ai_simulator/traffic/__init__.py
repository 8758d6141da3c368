"""Every call's way through the simulator: the journal records it, and a fault may be applied to it."""
