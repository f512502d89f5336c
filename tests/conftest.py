"""What every test shares: the testbed's fixtures."""

import importlib.util

pytest_plugins = (
    ["tests.testbed_fixtures"] if importlib.util.find_spec("tests.testbed_fixtures") else []
)
