"""What k6's exit codes mean (its package errext/exitcodes), in words for a person."""

from __future__ import annotations

PASSED = 0
THRESHOLDS_FAILED = 99
ENDED_BY_ITSELF = frozenset({PASSED, THRESHOLDS_FAILED})
GAVE_UP = frozenset({100, 104, 106, 107, 108, 110})
"""With these k6 ends by itself before the load when setup() fails or its options are wrong; in mid-load it goes on."""

MEANINGS = {
    97: "the cloud said that the test failed",
    98: "the cloud did not tell its progress",
    100: "setup() took too long",
    101: "teardown() took too long",
    102: "something took too long",
    103: "it was stopped through its REST API",
    104: "its options are not valid",
    105: "it was stopped by a signal",
    106: "its REST API could not start: the port is taken",
    107: "the script threw an exception",
    108: "the script aborted the test",
    109: "k6 itself crashed",
    110: "the script marked the test as failed",
}


def meaning(exit_code: int) -> str:
    """One clause for an exit code that is neither 0 nor 99; negative codes are signals, as subprocess reports them."""
    if exit_code < 0:
        return f"it was killed by signal {-exit_code}"
    return MEANINGS.get(exit_code, f"exit code {exit_code}, which k6 does not document")
