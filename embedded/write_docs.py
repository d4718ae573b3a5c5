"""Write the parts of docs/ that stand in the code already: parameter tables and arguments of launch files.

    .venv/bin/python embedded/write_docs.py

A page marks such a part with `<!-- parameters: module.Class -->` or `<!-- arguments: name.launch.yaml -->` and ends it with
`<!-- end -->`. A test fails where a page differs from what this would write.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from lodestone_core.config import markdown_table

ROOT = Path(__file__).resolve().parents[1]
PART = re.compile(r"(<!-- (parameters|arguments): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite every page that is out of date."""
    for page in pages():
        text = page.read_text()
        if (wanted := rendered(text, ros=True)) != text:
            page.write_text(wanted)
            print(page.relative_to(ROOT))
    return 0


def pages() -> list[Path]:
    """All pages of the documentation."""
    return sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


def rendered(text: str, *, ros: bool) -> str:
    """A page with its marked parts as the code has them; those that only a ROS module knows stay where there is no ROS."""
    refuse_unclosed(text)
    tables = {"parameters": parameters, "arguments": arguments}

    def table(part: re.Match[str]) -> str:
        known = ros or ".ros." not in part[3]
        return f"{part[1]}{tables[part[2]](part[3])}{part[4]}" if known else part[0]

    return PART.sub(table, text)


def refuse_unclosed(text: str) -> None:
    """A part without its end would take everything up to the next one's with it."""
    marks = re.findall(r"<!-- (parameters|arguments|end)\b[^>]*-->", text)
    closed = all((mark == "end") == bool(place % 2) for place, mark in enumerate(marks)) and len(marks) % 2 == 0
    if not closed:
        raise ValueError("a part that is not ended by <!-- end -->, or an end without its part")


def parameters(path: str) -> str:
    """Table of a configuration class, given as module.Class."""
    module, _, name = path.rpartition(".")
    return markdown_table(getattr(importlib.import_module(module), name))


def arguments(name: str) -> str:
    """Table of a launch file's arguments."""
    lines = ["| argument | default | meaning |", "|---|---|---|"]
    entries: list[dict[str, Any]] = yaml.safe_load((ROOT / "launch" / name).read_text())["launch"]
    for arg in (entry["arg"] for entry in entries if "arg" in entry):
        default = f"`{arg['default']}`" if arg.get("default") else "empty" if "default" in arg else "required"
        choices = [str(choice["value"]) for choice in arg.get("choice", [])]
        meaning = arg["description"] + (f" ({', '.join(choices)})" if choices else "")
        lines.append(f"| `{arg['name']}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
