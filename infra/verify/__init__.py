"""Phases 1 and 2 and the stack's life: claims read back from the running services."""
