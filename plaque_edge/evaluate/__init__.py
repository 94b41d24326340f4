"""Figures on phantoms, end to end from DICOM: cases, families, figures, plots, worst cases."""
