"""AI Gateway: model calls on their way through a gateway, which caches, limits, retries and logs them."""
