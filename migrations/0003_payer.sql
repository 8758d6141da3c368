-- Name of the key that uploaded a version: its budget pays for the ingestion. Empty for callers without a key, and for
-- versions that were uploaded before this migration.
ALTER TABLE versions ADD COLUMN payer TEXT NOT NULL DEFAULT '';
