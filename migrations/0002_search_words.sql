-- Full-text search over normalised text (src/aiworker/rag/search_text.py). The tables of 0001 stay as they are, and
-- chunk_words stays filled: the Worker searches it for documents that it has not indexed anew yet, and so does an
-- earlier version of the Worker after a rollback.

-- Number of the normalisation that a version's passages are indexed by; 0 if they are in chunk_words only.
ALTER TABLE versions ADD COLUMN normalization INTEGER NOT NULL DEFAULT 0;
CREATE INDEX versions_by_normalization ON versions (normalization) WHERE state = 'indexed';

-- Name of the uploaded file and the encoding that its content type declares; empty if there is none.
ALTER TABLE versions ADD COLUMN file_name TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN charset TEXT NOT NULL DEFAULT '';

-- Words of a passage, under the row number that it has in chunks. The Worker writes them: SQL cannot normalise text.
CREATE VIRTUAL TABLE passage_words USING fts5 (scope, title, heading, text, tokenize = 'porter ascii');

CREATE TRIGGER passage_words_removed AFTER DELETE ON chunks BEGIN
  DELETE FROM passage_words WHERE rowid = old.row;
END;
