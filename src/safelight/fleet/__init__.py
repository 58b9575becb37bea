"""The fleet: starts darkrooms and carries sealed bytes to them. It never sees inside.

:class:`safelight.fleet.local.LocalFleet` runs one keeper process per device on this machine. The
fleet also holds the fleet key, which signs the notes by which darkroom keys are announced.
"""
