"""Words as types: verdicts, checks, errors, settings, service ids and the run directory."""
