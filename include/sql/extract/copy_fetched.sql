copy pg_temp.fetched (id, content_hash, sync_id, page_no, api_synced_at, api_response) from stdin
