"""What scripts/test and scripts/nightly add to pytest: its output, the order of files, the fast loop."""
