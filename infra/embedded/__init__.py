"""The embedded backend: the real programs, run as local processes (architecture.md, "Backends")."""
