"""Embeddings and reranking: simulated, or computed with the real weights of bge."""
