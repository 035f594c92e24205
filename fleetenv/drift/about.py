"""What findings about one host have in common."""

from __future__ import annotations

from msgspec import Struct

from fleetenv.drift.codes import CODES
from fleetenv.drift.commands import Commands
from fleetenv.drift.finding import Finding
from fleetenv.drift.named import Named
from fleetenv.remote import sh


class About(Struct, frozen=True):
    """Makes findings about one host."""

    host: str
    named: Named
    commands: Commands

    def finding(self, code: str, subject: str, text: str, advice: str, *, path: str = "") -> Finding:
        """Make a finding; one about a `path` in somebody's home is that user's own affair, and milder."""
        kind = CODES[code]
        severity = kind.milder if kind.milder and self.named.is_private(path) else kind.severity
        return Finding(
            code=code,
            host=self.host,
            subject=subject,
            against=kind.against,
            severity=severity,
            text=text,
            advice=advice,
        )

    def there(self, *words: str) -> str:
        """Return a command that is run on the host itself."""
        return f"on {self.host}: {sh(*words)}"

    def apply(self) -> str:
        """Return what brings the host back to the playbook."""
        return self.commands.apply(self.host)
