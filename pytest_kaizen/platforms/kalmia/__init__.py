"""Kalmia: trace ingest and search, experiments, behaviours and annotations."""
