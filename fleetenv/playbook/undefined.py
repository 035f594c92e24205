"""The error for a name that nobody defined."""

from __future__ import annotations

from collections.abc import Iterable

from fleetenv.errors import InputError, Location, nearest


class UndefinedVariable(InputError):
    """A template reads a variable, or a key of one, that is not there (yet: a later task may define it)."""

    def __init__(
        self, message: str, *, name: str | None = None, location: Location | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, location=location, hint=hint)
        self.name = name  # the variable's name; None when something inside a variable is missing
        self._known: Iterable[str] = ()

    def placed(self, location: Location | None, known: Iterable[str]) -> UndefinedVariable:
        """Return the error with its place and the nearest known name, where these were not known before."""
        if self.location is not None:
            return self
        error = UndefinedVariable(self.message, name=self.name, location=location, hint=self.hint)
        error._known = known
        return error

    def __str__(self) -> str:
        if self.hint is None and self.name is not None:
            self.hint = nearest(self.name, self._known)  # only now: most such errors are passed over, and never shown
        return super().__str__()
