"""Quantify: from soft fractions to mm3 per vessel."""
