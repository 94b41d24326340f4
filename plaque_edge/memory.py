"""How much memory this process has held at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_mb() -> int:
    """Largest resident memory since the program began.

    Not ``ru_maxrss``: across ``exec`` Linux carries over the peak of the process that started it.
    """
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset) >> 20
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(
            r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii", errors="replace")
        )
        if found:
            return int(found[1]) >> 10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
