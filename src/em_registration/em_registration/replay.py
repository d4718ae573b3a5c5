"""A recorded bag through the very pipeline that ran live: same configuration, same frames, same events at their stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from em_registration.config import RegistrationConfig
from em_registration.messages import event_from_msg
from em_registration.pipeline import Pipeline
from em_registration.types import Event, Update
from lodestone_core.bags import open_bag
from lodestone_core.config import parse_config
from lodestone_core.errors import InputError
from lodestone_core.messages import frame_from_msg


@dataclass(frozen=True, slots=True)
class ReplayTopics:
    """Where a bag holds what the node took in and said."""

    tools: str = "/aurora/tools"
    events: str = "/em_registration/events"
    config: str = "/em_registration/config"


def replay(bag_path: Path, topics: ReplayTopics | None = None) -> Iterator[Update]:
    """One Update a frame, as the node made them. Raises InputError when the bag lacks frames or the node's configuration."""
    names = topics or ReplayTopics()
    pipeline = Pipeline(recorded_config(bag_path, names.config))
    for event in recorded_events(bag_path, names.events):
        pipeline.request(event)
    with open_bag(bag_path) as bag:
        for message in bag.messages([names.tools]):
            update = pipeline.update(frame_from_msg(message.message))
            if update is not None:
                yield update


def recorded_config(bag_path: Path, topic: str) -> RegistrationConfig:
    """The effective configuration that the node published."""
    with open_bag(bag_path) as bag:
        texts = [message.message.parameters for message in bag.messages([topic], missing_ok=True)]
    if not texts:
        raise InputError(
            f"bag {bag_path}", expected=f"the node's configuration on {topic}", got="none", remedy="record that topic beside the data"
        )
    return parse_config(RegistrationConfig, texts[-1], f"{bag_path}, {topic}")


def recorded_events(bag_path: Path, topic: str) -> list[Event]:
    """Everything that changed the node's state, in order."""
    with open_bag(bag_path) as bag:
        return [event_from_msg(message.message) for message in bag.messages([topic], missing_ok=True)]
