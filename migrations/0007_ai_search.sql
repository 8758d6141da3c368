-- Documents that AI Search holds (RAG_ENGINE is ai-search). A row is one version: searches return what belongs to the
-- live one. The rows of deleted and replaced versions stay until their items are removed from AI Search.
CREATE TABLE ai_search_items (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  document_id TEXT NOT NULL,
  key TEXT NOT NULL UNIQUE,
  item TEXT NOT NULL,
  live INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  title TEXT NOT NULL,
  url TEXT,
  metadata TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  chunks INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  file_name TEXT NOT NULL,
  charset TEXT NOT NULL
);

CREATE INDEX ai_search_items_of_document ON ai_search_items (tenant, document_id, created_at);
CREATE INDEX unfinished_ai_search_items ON ai_search_items (tenant, updated_at) WHERE state NOT IN ('indexed', 'failed');
CREATE UNIQUE INDEX live_ai_search_items ON ai_search_items (tenant, document_id) WHERE live = 1;
