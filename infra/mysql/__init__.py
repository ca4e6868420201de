"""MySQL's accounts: configuration of the server, and the exporter's user over SQL."""
