"""A pytest plugin: each worker of pytest-xdist gets a DDS domain of its own, so that tests side by side do not hear one another."""

from __future__ import annotations

import os

_APART = 100

_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if _worker.startswith("gw"):
    # Domains of the runner begin at 20 and end below 120; DDS knows 0 to 232.
    os.environ["ROS_DOMAIN_ID"] = str(int(os.environ.get("ROS_DOMAIN_ID", "20")) + _APART * int(_worker[2:]))
