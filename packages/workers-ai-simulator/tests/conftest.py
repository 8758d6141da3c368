"""A simulator for the tests."""

from running_simulator import http, simulator_process

__all__ = ["http", "simulator_process"]
