"""Additions of scripts/test and scripts/nightly to pytest: its output, the order of files, the fast loop."""
