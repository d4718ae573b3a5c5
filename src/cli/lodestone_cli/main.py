"""The `lodestone` command. Each verb imports what it needs when it runs, so that the help is there at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lodestone_cli.calibrate import calibrate
from lodestone_core.errors import InputError
from lodestone_core.kept_memory import keep_memory

INPUT_ERROR = 2


class _OneSentenceErrors(TyperGroup):
    """Bad input is one sentence on standard error and exit code 2, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """As in click; InputError becomes the sentence."""
        keep_memory()  # before there are threads, each with a pool of its own
        try:
            return super().invoke(ctx)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(INPUT_ERROR) from None


app = typer.Typer(
    cls=_OneSentenceErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Drive, record and evaluate an image-guidance bench. Research use only, not a medical device.",
)
app.add_typer(calibrate, name="calibrate")


@app.command()
def up(
    file: Annotated[str, typer.Argument(help="A *.launch.yaml file, or the name of an installed one.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[NAME:=VALUE]...", help="Arguments of the launch file.")] = None,
    show_arguments: Annotated[bool, typer.Option("--show-args", "-s", help="List the file's arguments and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands that would be started and stop.")] = False,
) -> None:
    """Run a launch file as `ros2 launch` does, also where ROS is not installed."""
    from lodestone_cli.commands import up as command

    raise typer.Exit(command.run(file, arguments or [], show_arguments=show_arguments, dry_run=dry_run))


@app.command()
def record(
    topics: Annotated[list[str] | None, typer.Argument(help="Topics; all visible ones when none is given.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New bag folder [default: out/bags/<time>].")] = None,
    duration: Annotated[float | None, typer.Option("--duration", "-d", min=0.0, help="Stop after so many seconds.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of topics that are left out, as /name/*/name.")] = None,
) -> None:
    """Record topics into a bag that survives a kill, until Ctrl-C."""
    from lodestone_cli.commands import record as command

    raise typer.Exit(command.run(topics or [], out, duration, exclude or []))


@app.command()
def replay(
    bag: Annotated[Path, typer.Argument(help="A bag, MCAP or sqlite3, finished or cut off.")],
    topics: Annotated[list[str] | None, typer.Option("--topics", help="Topic to play; repeat for more [default: all].")] = None,
    rate: Annotated[float, typer.Option("--rate", "-r", min=0.001, help="2 is twice as fast.")] = 1.0,
    start: Annotated[float, typer.Option("--start", min=0.0, help="Begin so many seconds into the bag.")] = 0.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end; /clock steps back there.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Wait for space, or for the service player/pause.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0.0, help="Wait at most so many seconds for the first readers.")] = 3.0,
) -> None:
    """Play a bag as it was recorded, with its own time on /clock (use_sim_time)."""
    from lodestone_cli.commands import replay as command

    raise typer.Exit(command.run(command.Options(bag, topics or (), rate, start, loop, paused, wait)))


@app.command()
def recover(
    bag: Annotated[Path, typer.Argument(help="A bag that was cut off or damaged; it is not touched.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New bag folder [default: <bag>_recovered].")] = None,
) -> None:
    """Copy all that is whole in a damaged bag into a new one, and say what is lost."""
    from lodestone_cli.commands import recover as command

    raise typer.Exit(command.run(bag, out))


@app.command()
def evaluate(
    protocol: Annotated[Path, typer.Argument(help="A protocol, for instance evaluation/protocols/em_optical.yaml.")],
    data: Annotated[Path | None, typer.Option("--data", help="Folder of recordings [default: LODESTONE_DATA, else data/].")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="inputs.NAME=PATH", help="Another file for an input.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the result [default: out/evaluate/<protocol>].")] = None,
) -> None:
    """Run a protocol, print its table, write result.json and report.html; exit code 1 when a limit is missed."""
    from lodestone_cli.commands import evaluate as command

    raise typer.Exit(command.run(protocol, data, settings or [], out))


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for bag, report, logs [default: out/demo, out/demo_metal].")
    ] = None,
    metal: Annotated[bool, typer.Option("--metal", help="The act in which metal is moved into the field and out again.")] = False,
) -> None:
    """Play a real recording through the whole bench, without hardware, and report how good the corrected frames were."""
    from lodestone_cli.commands import demo as command

    raise typer.Exit(command.run_with_metal(out or Path("out/demo_metal")) if metal else command.run(out or Path("out/demo")))


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; all when none is given.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out/bench"),
) -> None:
    """Measure the running system: losses, latency, recovery, stopping, recording, set-up; exit code 1 when a limit is missed."""
    from lodestone_cli.commands import bench as command

    raise typer.Exit(command.run(names or [], out))


@app.command()
def data(
    names: Annotated[list[str] | None, typer.Argument(help="Recordings; all when none is given.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download what is missing from its public source.")] = False,
    files: Annotated[bool, typer.Option("--files", help="List every file with its SHA-256.")] = False,
) -> None:
    """List the public recordings with source, commit, licence and SHA-256, where they are, and fetch them."""
    from lodestone_cli.commands import data as command

    raise typer.Exit(command.run(names or [], fetch=fetch, files=files))


@app.command()
def truth(
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the files.")],
    world: Annotated[
        Path | None, typer.Option("--world", help="World of the simulated bench (YAML) [default: the simulated rig's].")
    ] = None,
    duration: Annotated[float, typer.Option("--duration", "-d", min=0.001, help="Seconds of the world from its beginning.")] = 60.0,
) -> None:
    """Write where everything in the simulated world really is into CSV, NPZ and YAML files; the same seed gives the same bytes."""
    from lodestone_cli.commands import truth as command

    raise typer.Exit(command.run(world, duration, out))


@app.command()
def doctor() -> None:
    """Say what is missing on this machine and what to do about it; exit code 1 when something necessary is."""
    from lodestone_cli.commands import doctor as command

    raise typer.Exit(command.run())
