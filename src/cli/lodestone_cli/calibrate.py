"""`lodestone calibrate`: one verb for each device and for what devices share. As in main.py, each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

calibrate = typer.Typer(no_args_is_help=True, help="Calibrate tools and sensors.")


@calibrate.command()
def pivot(
    path: Annotated[Path, typer.Argument(help="A folder of 4x4 matrices, or a bag.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New YAML file for the calibration.")] = Path("pivot.yaml"),
    topic: Annotated[str | None, typer.Option("--topic", help="Poses of the tool in a bag (PoseStamped).")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the calibration.")] = None,
) -> None:
    """Find a tool's tip from poses of the tool while its tip rested in a divot."""
    from lodestone_cli.commands import pivot as command

    raise typer.Exit(command.run(path, out, topic, config))


@calibrate.command()
def em(
    words: Annotated[list[str] | None, typer.Argument(metavar="[sim:=true]", help="Walk through the simulated bench.")] = None,
    bag: Annotated[Path | None, typer.Option("--bag", help="A recorded walk; else the running bench is listened to.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="New file for the registration.")] = Path("registration.yaml"),
    points: Annotated[Path | None, typer.Option("--points", help="Known image points to touch; else a reference tracker is used.")] = None,
    tool: Annotated[str, typer.Option("--tool", help="Tool to walk with [default: the first one].")] = "",
    tip: Annotated[Path | None, typer.Option("--tip", help="Its tip, from lodestone calibrate pivot.")] = None,
    volume: Annotated[str, typer.Option("--volume", metavar="X0,Y0,Z0,X1,Y1,Z1", help="Image volume that matters, mm.")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the walk.")] = None,
    duration: Annotated[float, typer.Option("--duration", "-d", min=1.0, help="End after so many seconds.")] = 600.0,
) -> None:
    """Walk through the volume with a tool: what is covered, where to go next, when it is enough; writes a registration."""
    from lodestone_cli.commands import calibrate_em as command

    raise typer.Exit(command.run(command.Options(tuple(words or ()), bag, out, points, tool, tip, volume, config, duration)))


@calibrate.command()
def arm(
    bag: Annotated[Path, typer.Argument(help="A recording of the arm and of a tracker whose sensor is fixed to the probe.")],
    calibration: Annotated[Path, typer.Option("--calibration", help="The calibration that the arm was recorded with (us_arm).")],
    urdf: Annotated[Path, typer.Option("--urdf", help="URDF of the arm.")],
    topic: Annotated[str, typer.Option("--topic", help="Poses of the sensor (PoseStamped).")],
    joints: Annotated[str, typer.Option("--joints", help="Joint angles (JointState).")] = "/us_arm/measured_js",
    base: Annotated[str, typer.Option("--base", help="Link that stands still.")] = "us_arm_base",
    probe: Annotated[str, typer.Option("--probe", help="Link that carries the sensor.")] = "us_probe",
    out: Annotated[Path, typer.Option("--out", "-o", help="New YAML file for the calibration.")] = Path("us_arm.yaml"),
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the calibration.")] = None,
) -> None:
    """Find the index angles of the ultrasound arm, and joints that count the other way, from a tracker's poses of the probe."""
    from lodestone_cli.commands import calibrate_arm as command

    raise typer.Exit(command.run(command.Options(bag, calibration, urdf, topic, joints, base, probe, out, config)))


@calibrate.command()
def probe(
    recordings: Annotated[list[Path], typer.Argument(help="Sweeps: bags, PLUS sequences (.igs.mha) or tables of spots (.npz).")],
    phantom: Annotated[Path | None, typer.Option("--phantom", help="YAML with the wires; without it the sweeps are of one point.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="New YAML file for the calibration.")] = Path("us_probe.yaml"),
    rig: Annotated[str, typer.Option("--rig", help="Name of the bench.")] = "",
    device: Annotated[str, typer.Option("--device", help="The probe, as a person knows it.")] = "",
    spacing: Annotated[str, typer.Option("--spacing", metavar="X,Y", help="Size of a pixel in mm, where a recording does not say.")] = "",
    poses: Annotated[str, typer.Option("--poses", metavar="REFERENCE,PROBE", help="Frames of a sequence.")] = "Tracker,Probe",
    phantom_frame: Annotated[str, typer.Option("--phantom-frame", help="Frame of a tracked phantom in a sequence.")] = "",
    tracked: Annotated[bool, typer.Option("--tracked", help="The reference of the poses is the phantom itself.")] = False,
    urdf: Annotated[Path | None, typer.Option("--urdf", help="Take poses from us_arm/measured_js by this arm.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the calibration.")] = None,
) -> None:
    """Find where an ultrasound image lies on its probe, from sweeps over wires or a point; with held-out error."""
    from lodestone_cli.commands import calibrate_probe as command

    options = command.Options(tuple(recordings), phantom, out, rig, device, spacing, poses, phantom_frame, tracked, urdf, config)
    raise typer.Exit(command.run(options))


@calibrate.command()
def stereo(
    rig: Annotated[Path, typer.Argument(help="Folder of the rig, for instance launch/rigs/my_bench; its files are written there.")],
    board: Annotated[str, typer.Option("--board", help="charuco:COLUMNSxROWS:SQUARE:MARKER or checkerboard:COLUMNSxROWS:SQUARE, mm.")] = "",
    target: Annotated[Path | None, typer.Option("--target", help="YAML with the faces of a rigid target of several boards.")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with left/ and right/; else a bag or the live pair.")] = None,
    bag: Annotated[Path | None, typer.Option("--bag", help="A recorded session.")] = None,
    left: Annotated[str, typer.Option("--left", help="Topic of the left images.")] = "/stereo/left/image_raw",
    right: Annotated[str, typer.Option("--right", help="Topic of the right images.")] = "/stereo/right/image_raw",
    tolerance: Annotated[float, typer.Option("--tolerance", min=0.0, help="Stamps of a pair differ by less, ms.")] = 20.0,
    seat: Annotated[str, typer.Option("--seat", help="Name of a view in which the target lay at a known place.")] = "",
    seat_pose: Annotated[str, typer.Option("--seat-pose", metavar="X,Y,Z,QX,QY,QZ,QW", help="That place in bench, mm.")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the calibration.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a calibration that is there.")] = False,
    duration: Annotated[float, typer.Option("--duration", "-d", min=1.0, help="Live: end after so many seconds.")] = 900.0,
) -> None:
    """Calibrate a pair of cameras from pictures of a board or of a rigid target, also at a right angle."""
    from lodestone_cli.commands import calibrate_stereo as command

    options = command.Options(rig, board, target, images, bag, (left, right), tolerance, seat, seat_pose, config, replace, duration)
    raise typer.Exit(command.run(options))


@calibrate.command()
def time(
    bag: Annotated[Path, typer.Argument(help="A bag of at least 20 s in which all streams saw one quick, irregular motion.")],
    rig: Annotated[str, typer.Option("--rig", help="Name of the bench, as in the folder of its calibrations.")],
    reference: Annotated[str, typer.Option("--reference", help="Stream that the others are measured against.")] = "aurora/tools",
    stream: Annotated[list[str] | None, typer.Option("--stream", help="Another stream [default: all devices in the bag].")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="New calibration file.")] = Path("time.yaml"),
    tool: Annotated[str, typer.Option("--tool", help="Tool of the tracker [default: the one seen most].")] = "",
    previous: Annotated[Path | None, typer.Option("--previous", help="Time calibration that the drivers had while recording.")] = None,
    reference_latency: Annotated[
        float | None, typer.Option("--reference-latency", min=0.0, help="Known latency of the reference, s [default: the least possible].")
    ] = None,
    max_offset: Annotated[float | None, typer.Option("--max-offset", min=0.01, help="Largest offset looked for, s.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the estimate.")] = None,
) -> None:
    """Find how late each stream is against a reference, from one motion that all of them saw."""
    from lodestone_cli.commands import calibrate_time as command

    options = (bag, reference, tuple(stream or ()), rig, out, tool, previous, reference_latency, max_offset, config)
    raise typer.Exit(command.run(command.Options(*options)))


@calibrate.command()
def magnetometers(
    rotation: Annotated[Path, typer.Option("--rotation", help="The array turned about all axes in a uniform field (bag, .npz, .csv).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New file for the calibration, such as rigs/NAME/magnetometers.yaml.")],
    rig: Annotated[str, typer.Option("--rig", help="Name of the rig that the array belongs to.")],
    magnet: Annotated[Path | None, typer.Option("--magnet", help="A magnet moved over the array at rest.")] = None,
    background: Annotated[Path | None, typer.Option("--background", help="The array at the same place without the magnet.")] = None,
    warm_up: Annotated[Path | None, typer.Option("--warm-up", help="The array at rest from a cold start.")] = None,
    topic: Annotated[str, typer.Option("--topic", help="Raw topic of the array in bags.")] = "/magnetometers/array_raw",
    pose_topic: Annotated[str, typer.Option("--pose-topic", help="Poses of the magnet in the array's frame (PoseStamped).")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with field strength, magnet, layout and limits.")] = None,
) -> None:
    """Find gains, axes, biases, places and temperature slopes of an array of magnetometers."""
    from lodestone_cli.commands import calibrate_magnetometers as command

    options = command.Options(rotation, magnet, background, warm_up, out, rig, topic, pose_topic, config)
    raise typer.Exit(command.run(options))


@calibrate.command()
def ultrasound(
    recording: Annotated[Path, typer.Argument(help="Bag, video or folder of pictures of at least 10 images while the probe moved.")],
    rig: Annotated[str, typer.Option("--rig", help="Name of the bench, as in the folder of its calibrations.")],
    preset: Annotated[str, typer.Option("--preset", help="Name of this depth.")],
    depth: Annotated[float | None, typer.Option("--depth", min=1.0, help="Depth that the machine shows, mm [default: by targets].")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="New calibration file.")] = Path("ultrasound.yaml"),
    face_radius: Annotated[float, typer.Option("--face-radius", min=0.0, help="Radius of the probe's face, mm [default: its arc].")] = 0.0,
    crop: Annotated[str, typer.Option("--crop", metavar="LEFT,TOP,WIDTH,HEIGHT", help="Part of the video that is the image, px.")] = "",
    add_to: Annotated[Path | None, typer.Option("--add-to", help="Calibration with further presets, which are kept.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", metavar="X0,Y0,X1,Y1=MM", help="Two places of known distance.")] = None,
    topic: Annotated[str, typer.Option("--topic", help="Images in a bag.")] = "ultrasound/image_raw",
    device: Annotated[str, typer.Option("--device", help="Machine and probe, for the record.")] = "ultrasound machine",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with limits of the fit.")] = None,
) -> None:
    """Find the fan in ultrasound video and the size of a pixel, for one depth of the machine."""
    from lodestone_cli.commands import calibrate_ultrasound as command

    options = (recording, rig, preset, depth, out, face_radius, crop, add_to, tuple(target or ()), topic, device, config)
    raise typer.Exit(command.run(command.Options(*options)))
