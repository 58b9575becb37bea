"""Models: what is here, where it came from, and whether it is still what it was."""

from safelight.catalogue.catalogue import Catalogue, digest_of
from safelight.catalogue.inspect import Found, inspect
from safelight.catalogue.model import Model

__all__ = ["Catalogue", "Found", "Model", "digest_of", "inspect"]
