-- Subject of the browser token that added a source; empty for one of a key or without one, and for those that were added
-- before this migration. Its documents are that user's.
ALTER TABLE sync_sources ADD COLUMN subject TEXT NOT NULL DEFAULT '';
