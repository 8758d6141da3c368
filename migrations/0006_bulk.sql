-- Documents of batches, and sources of documents that are kept in step.

-- A batch is a job, of the same id. Its body is in the bucket until that has ended.
CREATE TABLE batches (
  job TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  form TEXT NOT NULL,
  metadata TEXT NOT NULL,
  caller TEXT NOT NULL,
  payer TEXT NOT NULL,
  subject TEXT NOT NULL,
  documents INTEGER NOT NULL,
  created_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX batches_of_caller ON batches (caller, created_at);
CREATE INDEX batches_by_time ON batches (created_at);

-- A document of a batch (a job of that id): where it is in the batch's body, and its version, or the reason why it has none.
CREATE TABLE batch_documents (
  job TEXT NOT NULL,
  number INTEGER NOT NULL,
  start INTEGER NOT NULL,
  size INTEGER NOT NULL,
  path TEXT NOT NULL,
  media_type TEXT NOT NULL,
  charset TEXT NOT NULL,
  document_id TEXT,
  version TEXT,
  reason TEXT,
  PRIMARY KEY (job, number)
) WITHOUT ROWID;

-- A prefix of the bucket, a sitemap, or addresses of one site (`target`, as JSON).
CREATE TABLE sync_sources (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  metadata TEXT NOT NULL,
  hours INTEGER NOT NULL,
  run INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  created_at TEXT NOT NULL,
  began_at TEXT,
  ran_at TEXT,
  next_at TEXT NOT NULL,
  payer TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX sync_sources_of_tenant ON sync_sources (tenant, id);
CREATE INDEX due_sync_sources ON sync_sources (next_at) WHERE state NOT IN ('running', 'deleting');
CREATE INDEX unfinished_sync_sources ON sync_sources (began_at) WHERE state IN ('running', 'deleting');

-- An address or a key of the bucket: the last run that found it and that looked at it, and what is known of it.
CREATE TABLE sync_pages (
  source TEXT NOT NULL,
  location TEXT NOT NULL,
  run INTEGER NOT NULL,
  done INTEGER NOT NULL,
  document_id TEXT,
  version TEXT,
  etag TEXT,
  modified TEXT,
  digest TEXT,
  reason TEXT,
  PRIMARY KEY (source, location)
) WITHOUT ROWID;

CREATE INDEX sync_pages_of_document ON sync_pages (document_id);
