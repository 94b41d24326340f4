"""Proofs by force: each kind a file and a command, its last result in ``docs/results``."""
