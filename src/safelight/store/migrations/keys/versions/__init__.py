"""One file for each version of the keys' tables."""
