"""The environment in which every process of a launch file starts; a `set_env` of the file wins over it."""

from __future__ import annotations

from collections.abc import Mapping

from .packages import find_prefix

PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
# numpy and scipy (OpenBLAS), torch (OpenMP, MKL), OpenCV: results then do not depend on the number of cores, and nodes do not
# take them from each other. A value from the shell does not count: the same file must give the same figures everywhere.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def with_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with one BLAS, torch and OpenCV thread a process, unbuffered output, and the middleware's defaults."""
    complete = with_middleware(environment)
    complete.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    # Output goes through a pipe, where Python would hold lines back.
    complete.setdefault("PYTHONUNBUFFERED", "1")
    return complete


def with_middleware(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with discovery on this machine only and the installed DDS profile, unless it says otherwise."""
    complete = dict(environment)
    complete.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prefix = find_prefix("lodestone_bringup", environment)
    profile = prefix / "share" / "lodestone_bringup" / "config" / "fastdds.xml" if prefix else None
    if PROFILE_VARIABLE not in complete and profile and profile.is_file():
        complete[PROFILE_VARIABLE] = str(profile)
    return complete
