"""AI Search: instances in namespaces, their items and chunks, search and chat."""
