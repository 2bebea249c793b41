from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# Time says nothing on a loaded machine; what the properties find does.
settings.register_profile("kaizen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kaizen")
