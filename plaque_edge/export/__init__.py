"""Export: result JSON and PDF report."""
