-- Beginning of a conversation's first question, for lists. Empty without a text, and until the first turn since this migration.
ALTER TABLE conversations ADD COLUMN title TEXT NOT NULL DEFAULT '';
