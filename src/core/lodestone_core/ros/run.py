"""The main function of every node: `def main() -> int: return run(MyNode)`."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lodestone_core.errors import InputError
from lodestone_core.kept_memory import keep_memory, reserve_memory
from lodestone_core.ros.realtime import use_realtime_priority

EXIT_REFUSED = 2
_QUIT = b"\0"


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None, reserve_mb: int = 0) -> int:
    """Make the node, spin it in one thread until SIGINT or SIGTERM, close it in order; the exit code of the process.

    `reserve_mb` of memory are had at once: for a node of images, which would take it bit by bit.

    0 after a signal; 2 and one sentence for an InputError (bad parameters, unreadable calibration). Any other exception
    leaves through here, so that the process ends with a traceback and code 1.
    """
    keep_memory()
    reserve_memory(reserve_mb)
    try:
        warning = use_realtime_priority()
        _init(args)
        if warning:
            get_logger("lodestone").warning(warning)
        executor = SingleThreadedExecutor()
        with _stop_on_signal(executor) as stop:
            _spin(make_node, executor, stop)
    except InputError as error:
        get_logger("lodestone").fatal(str(error))
        return EXIT_REFUSED
    except ExternalShutdownException:
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


def _init(args: Sequence[str] | None) -> None:
    try:
        # With rclpy's own handlers the context is gone before a node can say good-bye to its device and its readers.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except rclpy_implementation.RCLError as error:
        expected, remedy = "ROS arguments and parameter files that can be parsed", "correct the line that it names"
        raise InputError("command line", expected=expected, got=_one_line(error), remedy=remedy) from error


def _spin(make_node: Callable[[], Node], executor: Executor, stop: threading.Event) -> None:
    try:
        node = make_node()
    except ParameterException as error:
        remedy = "correct the parameter"
        raise InputError("parameters", expected="values of the declared types", got=_one_line(error), remedy=remedy) from error
    # What the imports made lives as long as the process; a full collection need not walk it in the middle of a sample.
    gc.collect()
    gc.freeze()
    try:
        executor.add_node(node)
        while rclpy.ok() and not stop.is_set():
            executor.spin_once()
    finally:
        try:
            # A LodestoneNode leaves through its lifecycle, any other at once.
            getattr(node, "close", node.destroy_node)()
        finally:
            executor.shutdown()


@contextmanager
def _stop_on_signal(executor: Executor) -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, waking the executor.

    The executor waits in C, where no Python handler runs until something wakes it: a thread that reads Python's wake-up
    descriptor does. A further SIGINT changes nothing (a terminal and a launcher both send one), a further SIGTERM ends.
    """
    stop = threading.Event()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, _terminate_if_repeated) for number in numbers}
    previous_fd = signal.set_wakeup_fd(writer.fileno())

    def watch() -> None:
        if reader.recv(1) != _QUIT:
            stop.set()
            # A task is what makes spin_once return; waking alone does not.
            executor.create_task(_nothing)

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)
        writer.send(_QUIT)
        watcher.join()
        reader.close()
        writer.close()


def _terminate_if_repeated(number: int, frame: object) -> None:
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)


def _nothing() -> None:
    pass


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
