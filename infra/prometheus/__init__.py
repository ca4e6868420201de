"""Prometheus: what is scraped under which names, and the recording rules."""
