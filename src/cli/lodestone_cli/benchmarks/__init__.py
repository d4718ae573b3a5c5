"""Benchmarks of the running system: protocols without recordings, on emulated devices and over real DDS."""

BENCHMARKS: dict[str, str] = {
    name: f"lodestone_cli.benchmarks.{name}:run"
    for name in (
        "bench_fuzz",
        "bench_stream",
        "bench_devices",
        "bench_images",
        "bench_optics",
        "bench_array",
        "bench_registration",
        "bench_replug",
        "bench_faults",
        "bench_stop",
        "bench_recorder",
        "bench_setup",
    )
}
"""Name in the protocol file -> the function that runs it, in the order in which `lodestone bench` does."""
