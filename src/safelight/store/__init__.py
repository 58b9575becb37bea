"""All that survives a restart: records, keys and blobs. The only importer of SQL and obstore."""
