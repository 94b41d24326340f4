"""Serial comparison: two results of one patient, place by place, against measured repeatability."""
