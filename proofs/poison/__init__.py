"""Records that nobody can read, between good ones, on every topic."""
