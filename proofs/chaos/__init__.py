"""A whole stack under faults, and what is left of the promises afterwards."""
