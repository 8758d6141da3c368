"""AI Search as the engine of /rag: it keeps and indexes the files, and finds passages; D1 says which count."""
