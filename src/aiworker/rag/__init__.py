"""Retrieval-augmented generation: ingestion of documents, retrieval of passages, the prompt."""
