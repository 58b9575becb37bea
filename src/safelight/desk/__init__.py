"""The desk: accounts, jobs, library, shares, publications. It remembers, and cannot see."""

from safelight.desk.desk import Desk, make_desk, open_desk
from safelight.desk.rings import Event
from safelight.desk.sweep import Swept

__all__ = ["Desk", "Event", "Swept", "make_desk", "open_desk"]
