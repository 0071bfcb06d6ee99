"""What is behind the comparison: one module a tab of the results."""
