"""The namespace's process: a row's id a line in, what came of it and what was sent elsewhere as a line of JSON out.

Its argument is the folder for the rows' files.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback

from tests.elsewhere.network import Eye, set_up
from tests.elsewhere.rows import carry_out


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what a row prints is no answer
    tempfile.tempdir = sys.argv[1]
    set_up()
    eye = Eye()
    for line in sys.stdin:
        eye.seen()
        found: dict[str, object] = {}
        try:
            found["refusals"] = list(carry_out(line.strip()))
        except Exception:  # noqa: BLE001 - told to the test, which fails with it
            found["problem"] = traceback.format_exc()
        print(json.dumps(found | {"sent": list(eye.seen())}), file=answers, flush=True)


main()
