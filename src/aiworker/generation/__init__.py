"""Answers that a Durable Object writes and keeps, so that they outlast the request for them."""
