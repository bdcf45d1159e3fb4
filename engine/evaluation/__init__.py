"""Evaluation: suites made here and now, every way of reading on the same prompts, tables, plots and a report."""
