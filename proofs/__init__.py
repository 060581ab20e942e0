"""What tries to break the promises, and counts."""
