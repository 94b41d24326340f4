"""Makers of realistic rows, results and images for the console's tests."""

from __future__ import annotations

from gui.sample import (
    SampleSource,
    sample_centerline,
    sample_info,
    sample_result,
    sample_view,
    write_result_folder,
)

__all__ = [
    "SampleSource",
    "sample_centerline",
    "sample_info",
    "sample_result",
    "sample_view",
    "write_result_folder",
]
