"""Recording and reading bags without a ROS installation: crash-safe MCAP out, MCAP and sqlite3 in, repair of what was cut off."""

from lodestone_core.bags.qos import qos_from_profile
from lodestone_core.bags.reader import Bag, BagMessage, TopicInfo, messages, open_bag
from lodestone_core.bags.recover import Recovery, recover
from lodestone_core.bags.typestore import MessageTypes, message_types
from lodestone_core.bags.writer import BagWriter, Definition

__all__ = [
    "Bag",
    "BagMessage",
    "BagWriter",
    "Definition",
    "MessageTypes",
    "Recovery",
    "TopicInfo",
    "message_types",
    "messages",
    "open_bag",
    "qos_from_profile",
    "recover",
]
