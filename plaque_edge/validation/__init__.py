"""Measured volumes against anybody's reference: reading, tables, plots."""
