"""Models: what is here, where it came from, and whether it is still what it was."""
