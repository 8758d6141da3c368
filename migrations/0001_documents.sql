-- D1 tables of RAG: documents, their versions and passages. Applied by scripts/dev, and before a deployment by
--   npx wrangler d1 migrations apply aiworker --remote

-- Readers see a document's live version, which one statement sets, so that a new version replaces the old one at once.
CREATE TABLE documents (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  live_version TEXT,
  created_at TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE INDEX documents_by_version ON documents (live_version);
CREATE INDEX deleted_documents ON documents (tenant, id) WHERE deleted = 1;

-- A version is one upload. The workflow that ingests it has the same id.
CREATE TABLE versions (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  document_id TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  title TEXT NOT NULL,
  url TEXT,
  metadata TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  chunks INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX versions_of_document ON versions (tenant, document_id, created_at);
CREATE INDEX unfinished_versions ON versions (updated_at) WHERE state IN ('queued', 'converting', 'embedding');

CREATE INDEX replaced_versions ON versions (updated_at) WHERE state = 'replaced';

CREATE TABLE chunks (
  row INTEGER PRIMARY KEY,
  version TEXT NOT NULL,
  number INTEGER NOT NULL,
  scope TEXT NOT NULL,
  heading TEXT NOT NULL,
  text TEXT NOT NULL,
  UNIQUE (version, number)
);

-- `scope` is a word for the tenant. A search requires it beside the words of the question, and so stays within the tenant.
CREATE VIRTUAL TABLE chunk_words USING fts5 (
  scope, heading, text,
  content = 'chunks', content_rowid = 'row', tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN
  INSERT INTO chunk_words (rowid, scope, heading, text) VALUES (new.row, new.scope, new.heading, new.text);
END;

CREATE TRIGGER chunks_removed AFTER DELETE ON chunks BEGIN
  INSERT INTO chunk_words (chunk_words, rowid, scope, heading, text)
  VALUES ('delete', old.row, old.scope, old.heading, old.text);
END;
