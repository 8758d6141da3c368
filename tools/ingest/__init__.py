"""`scripts/ingest`: files, folders and pages become documents of a running Worker."""
