"""The simulator for tests that need what its package does not bring: wrangler, a Worker, Cloudflare's types."""

from running_simulator import http, simulator_process

__all__ = ["http", "simulator_process"]
