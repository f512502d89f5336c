"""What every test shares: the testbed's fixtures, and how hypothesis draws."""

import importlib.util

import hypothesis

pytest_plugins = (
    ["tests.testbed_fixtures"] if importlib.util.find_spec("tests.testbed_fixtures") else []
)

# The testbed may be built on every core meanwhile: how long an example takes says nothing. And
# what failed once must fail again.
hypothesis.settings.register_profile(
    "charon",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
)
hypothesis.settings.load_profile("charon")
