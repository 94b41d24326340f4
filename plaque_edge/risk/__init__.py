"""Risk: a Cox model applied from a JSON file."""
