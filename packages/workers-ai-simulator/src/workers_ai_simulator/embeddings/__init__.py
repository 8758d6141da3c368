"""Embeddings and reranking: lexical, or computed with the real weights of bge."""
