"""One step each: log a line, call plain code, return a value."""
