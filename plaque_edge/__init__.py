"""plaque-edge: coronary plaque volumes and risk beside the CT scanner. Research use only."""

__version__ = "0.1.0"
RESEARCH_USE = "Research use only, not a medical device"
"""Stands on every output, in these words."""
