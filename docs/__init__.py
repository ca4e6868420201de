"""Documentation: some pages are written by hand, the others are drawn from the code (`python -m docs.generate`)."""
