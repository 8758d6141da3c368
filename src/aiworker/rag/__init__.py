"""Answers from documents: ingestion, retrieval, the prompt."""
