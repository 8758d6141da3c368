-- Place of a passage in its document's text: its first byte in UTF-8, and the byte behind its last one. NULL for passages
-- that were indexed before this migration, until their document is indexed again, and where a passage cannot be located.
ALTER TABLE chunks ADD COLUMN first_byte INTEGER;
ALTER TABLE chunks ADD COLUMN end_byte INTEGER;
