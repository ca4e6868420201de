"""Where the suite runs: backends, the programs of the stack, their configuration, and the reference portal."""
