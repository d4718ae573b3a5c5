"""Messages that are made only while somebody listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.publisher import Publisher


def publish_if_heard(publisher: Publisher, make: Callable[[], Any]) -> None:
    """Make and publish a message when the topic has a subscription; on two cores what nobody reads delays what somebody waits for."""
    if publisher.get_subscription_count():
        publisher.publish(make())
