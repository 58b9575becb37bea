"""Text that a person wrote, kept out of every repr, log and error by its type."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Secret(Generic[T]):
    """A value that shows itself as ``<secret>`` and is read only by :meth:`reveal`.

    Only ``vault``, ``engine``, ``policy.content``, the callers' side (``client``, ``cli``) and the
    transit door may reveal one; ``tests/privacy/test_secret.py`` checks that. It does not print or
    pickle its value, and compares by value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret does not pickle")
