"""For worker processes: a GPU lost during the first case, and not used by the next worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tube_scan

from plaque_edge.errors import Failed


def factory() -> tuple[Any, Any]:
    """For ``--factory lost_gpu:factory``; the file that LOST_GPU names is written at the loss."""
    flag = Path(os.environ["LOST_GPU"])
    works = tube_scan.segmenter()

    def run(volume: Any, engines: Any, progress: Any) -> Any:
        if not flag.exists():
            flag.write_text(str(os.getpid()))
            raise Failed("ENGINE_DEVICE_LOST", "The GPU stopped answering.", "Start again.")
        return works(volume, engines, progress)

    return tube_scan.Engines, run
