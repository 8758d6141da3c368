"""`scripts/release`: builds the simulator's packages, checks them, and installs each by itself."""
