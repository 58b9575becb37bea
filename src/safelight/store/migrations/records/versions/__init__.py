"""One file for each version of the records' tables."""
