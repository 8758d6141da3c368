"""AI Search as the engine of /rag: it stores and indexes the files, and finds passages; D1 decides which of them
readers see."""
