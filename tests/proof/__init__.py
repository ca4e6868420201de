"""Long tables, made by `make proof` into docs/; at least one row of each runs in `make test`."""
