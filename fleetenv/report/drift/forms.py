"""The forms of the drift report: which there are, which a file's ending asks for, and each as text."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetenv.drift.report import DriftReport
    from fleetenv.history.model import RunPoint


class Form(StrEnum):
    """What a report can be written as."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"
    PROMETHEUS = "prometheus"


_ENDINGS = {
    ".json": Form.JSON,
    ".html": Form.HTML,
    ".htm": Form.HTML,
    ".md": Form.MARKDOWN,
    ".xml": Form.JUNIT,
    ".sarif": Form.SARIF,
    ".prom": Form.PROMETHEUS,
}


def form_of(path: Path) -> Form:
    """Return the form that a file's ending asks for; text, if it says nothing. `drift.sarif.json` is SARIF."""
    if path.name.endswith(".sarif.json"):
        return Form.SARIF
    return _ENDINGS.get(path.suffix, Form.TEXT)


def rendered(report: DriftReport, form: Form, earlier: Sequence[RunPoint] = ()) -> str:
    """Return the report in a form, for a file. `earlier` looks, the oldest first, are plotted in HTML."""
    match form:
        case Form.JSON:
            from fleetenv.report.drift.document import drift_json

            return drift_json(report)
        case Form.HTML:
            from fleetenv.report.drift.html import drift_html

            return drift_html(report, earlier)
        case Form.MARKDOWN:
            from fleetenv.report.drift.markdown import drift_markdown

            return drift_markdown(report)
        case Form.JUNIT:
            from fleetenv.report.drift.junit import drift_junit

            return drift_junit(report)
        case Form.SARIF:
            from fleetenv.report.drift.sarif import drift_sarif

            return drift_sarif(report)
        case Form.PROMETHEUS:
            from fleetenv.report.drift.prometheus import drift_prometheus

            return drift_prometheus(report)
        case Form.TEXT:
            from fleetenv.report.drift.terminal import drift_text

            return drift_text(report)
