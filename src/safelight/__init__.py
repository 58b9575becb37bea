"""Safelight: a private image studio that people run themselves.

The desk remembers but cannot see; the darkroom sees but cannot remember.
"""

__version__ = "0.1.0"
