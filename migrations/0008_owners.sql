-- Whose data it is, so that everything of a tenant or of a user can be deleted.

-- Subject of the browser token that uploaded a version; empty for uploads with a key or without one, and for versions
-- that were uploaded before this migration.
ALTER TABLE versions ADD COLUMN subject TEXT NOT NULL DEFAULT '';
CREATE INDEX versions_by_subject ON versions (tenant, subject) WHERE subject <> '';

-- Conversations, which are Durable Objects found by name. Those without a turn since this migration are not listed.
CREATE TABLE conversations (
  -- Name of the object: owner || id.
  name TEXT PRIMARY KEY,
  -- Empty for callers that may name any tenant, who have conversations of their own.
  owner TEXT NOT NULL,
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  -- Time of the last turn, from which the object counts the days to its end.
  updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX conversations_by_tenant ON conversations (tenant, name);
CREATE INDEX conversations_by_owner ON conversations (owner, name);
CREATE INDEX conversations_by_time ON conversations (updated_at);
