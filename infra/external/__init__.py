"""The external backend: a stack that somebody else runs. Nothing is started, everything is looked at."""
