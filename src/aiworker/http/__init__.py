"""HTTP: requests, bodies, responses, CORS and conditional requests."""
