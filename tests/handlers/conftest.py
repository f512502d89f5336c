"""The testbed that serves our CRDs, and informers on it."""

from tests.clients.conftest import charged_bed
from tests.handlers.informers import begin, behind, proxy

__all__ = ["begin", "behind", "charged_bed", "proxy"]
