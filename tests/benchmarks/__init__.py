"""What measures: one module per operation, each prints its table and writes JSON."""
