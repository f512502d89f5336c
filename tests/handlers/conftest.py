"""The testbed that serves our CRDs, for informers too."""

from tests.clients.conftest import charged_bed

__all__ = ["charged_bed"]
