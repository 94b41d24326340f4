"""plaque-edge: coronary plaque volumes and risk beside the CT scanner. Research use only."""

__version__ = "0.1.0"
