"""Compile or load the viewer's kernels, so that no case waits for it."""

from __future__ import annotations

import numpy as np

from plaque_edge.export.overlay import Stack
from plaque_edge.show.raster import Camera, Tubes, draw_tubes
from plaque_edge.show.reformat import sample_lines


def warm_up() -> None:
    """Run every kernel once on a few voxels, both on arrays in memory and on read-only ones."""
    hu, labels = np.zeros((4, 4, 4), np.int16), np.zeros((4, 4, 4), np.uint8)
    lines = np.ones((2, 3))
    for writable in (True, False):
        hu.flags.writeable = labels.flags.writeable = writable
        stack = Stack(hu, labels, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
        sample_lines(stack, lines, 0.1 * lines, 4)
    tubes = Tubes(lines, np.ones(2), np.full(2, 0xFFFFFFFF, np.uint32))
    draw_tubes(tubes, Camera((0.0, 0.0, 0.0), 2.0), (8, 8), 0xFF000000)
