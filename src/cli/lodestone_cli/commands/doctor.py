"""`lodestone doctor`: everything it looks at in one table."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from lodestone_cli.console import DISCLAIMER, console
from lodestone_cli.diagnosis import devices, libraries, machine, ros
from lodestone_cli.diagnosis.finding import Finding, Level
from lodestone_cli.diagnosis.recorded_data import recorded_data

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def run() -> int:
    """Print the table; 1 when anything necessary is missing, else 0."""
    findings = examine(os.environ)
    table = Table("what", "", "found", "what to do")
    for finding in findings:
        table.add_row(finding.subject, Text(finding.level.name.lower(), _STYLES[finding.level]), finding.found, finding.remedy)
    console().print(table)
    console().print(DISCLAIMER)
    return int(any(finding.level is Level.FAIL for finding in findings))


def examine(environment: Mapping[str, str]) -> list[Finding]:
    """All findings on this machine."""
    return [
        libraries.python(),
        *libraries.libraries(),
        ros.distribution(environment),
        ros.packages(environment),
        ros.dds_profile(environment),
        ros.log_directory(environment),
        *machine.serial_ports(),
        *devices.video_devices(),
        *devices.i2c_buses(),
        machine.udev_rule(environment),
        machine.shared_memory(),
        machine.gpu(libraries.installed_version("torch")),
        recorded_data(environment),
    ]
