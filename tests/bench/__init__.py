"""Ratios, side by side in one run: `make bench` prints a table and writes runs/bench.json."""
