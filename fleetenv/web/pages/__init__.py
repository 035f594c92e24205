"""All pages: one file each."""

from __future__ import annotations

from typing import Any

from fleetenv.web.page import Page
from fleetenv.web.pages.compare import COMPARE
from fleetenv.web.pages.environments import ENVIRONMENT, ENVIRONMENTS
from fleetenv.web.pages.findings import FINDINGS
from fleetenv.web.pages.gpus import GPUS
from fleetenv.web.pages.host import HOST
from fleetenv.web.pages.matrix import MATRIX
from fleetenv.web.pages.runs import RUN, RUNS, VISIT

PAGES: tuple[Page[Any], ...] = (MATRIX, HOST, FINDINGS, ENVIRONMENTS, ENVIRONMENT, GPUS, RUNS, RUN, VISIT, COMPARE)

NAVIGATION = (
    ("/", "fleet"),
    ("/findings", "findings"),
    ("/environments", "environments"),
    ("/gpus", "GPUs"),
    ("/runs", "runs"),
    ("/compare", "compare"),
)
