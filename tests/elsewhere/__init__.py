"""A network of a test's own: addresses that must not be reached are there, and every packet to them is seen."""
