"""Phantom: synthetic CCTA with exact truth, for demo, self-test, tests and training."""
