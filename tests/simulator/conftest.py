"""The simulator for tests that need wrangler, a Worker, or Cloudflare's types, which its package does not have."""

from running_simulator import http, simulator_process

__all__ = ["http", "simulator_process"]
