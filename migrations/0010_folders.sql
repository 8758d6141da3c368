-- Folder of each version, by which the documents of a small folder are found among many.
CREATE INDEX versions_by_folder ON versions (tenant, json_extract(metadata, '$.folder'), document_id)
WHERE json_type(metadata, '$.folder') = 'text';
