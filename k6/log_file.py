"""k6's log: kept in the run directory with a bound, and read for what went wrong.

A target that is down makes one warning a request; 500 a second for ten minutes would fill a small disk.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FIRST_LINES = 10_000
LAST_LINES = 1_000
COMPLAINTS_AT_MOST = 5
_RECEIPT = "receipt "


def keep_log(lines: Iterable[bytes], path: Path) -> None:
    """Copy `lines` to `path`: the first FIRST_LINES, the last LAST_LINES, and how many between were left out."""
    last: deque[bytes] = deque(maxlen=LAST_LINES)
    left_over = 0
    with path.open("wb") as file:
        for number, line in enumerate(lines):
            if number < FIRST_LINES:
                file.write(line)
                file.flush()
            else:
                last.append(line)
                left_over += 1
        if left_over > LAST_LINES:
            note = {"level": "info", "msg": f"{left_over - LAST_LINES} lines left out here"}
            file.write(json.dumps(note).encode() + b"\n")
        file.writelines(last)


def noting_receipts(lines: Iterable[bytes], receipts: list[str]) -> Iterator[bytes]:
    """Pass `lines` on, and add to `receipts` what the script said by `console.info('receipt <id>')`.

    They are read from the stream, not from the file: its bound must lose none of them.
    """
    for line in lines:
        if b'"receipt ' in line and (receipt := _receipt_of(line)):
            receipts.append(receipt)
        yield line


def complaints(path: Path) -> tuple[str, ...]:
    """The distinct messages of level error in k6's log, at most five, each without its trace-back."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", errors="replace") as file:
        found = dict.fromkeys(message for line in file if (message := _error_of(line)))
    return tuple(found)[:COMPLAINTS_AT_MOST]


def _receipt_of(line: bytes) -> str:
    entry = _entry(line)
    said = str(entry.get("msg", "")) if entry is not None and entry.get("source") == "console" else ""
    return said.removeprefix(_RECEIPT) if said.startswith(_RECEIPT) else ""


def _error_of(line: str) -> str:
    entry = _entry(line)
    if entry is None:
        return line.strip() if line.startswith(("panic:", "fatal error:")) else ""
    if entry.get("level") not in ("error", "fatal", "panic"):
        return ""
    message = str(entry.get("msg", "")).partition("\n\tat ")[0].partition("\nat ")[0]
    detail = str(entry.get("error", ""))
    return " ".join(part for part in (message.removeprefix("Error: ").strip(), detail) if part)


def _entry(line: bytes | str) -> dict[str, Any] | None:
    """A line of the log as k6 writes it; None for any other."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
