"""Installation of lodestone_bench by colcon (ament_python)."""

from setuptools import find_packages, setup

PACKAGE = "lodestone_bench"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="Lodestone maintainers",
    maintainer_email="maintainers@lodestone.invalid",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "array_emulator = lodestone_bench.emulators.array_emulator:main",
            "aurora_emulator = lodestone_bench.emulators.aurora:main",
            "stereo_emulator = lodestone_bench.emulators.stereo:main",
            "arm_emulator = lodestone_bench.emulators.arm:main",
            "ultrasound_emulator = lodestone_bench.emulators.ultrasound:main",
            "xray_emulator = lodestone_bench.emulators.xray:main",
            "world_node = lodestone_bench.ros.world_node:main",
            "recording_node = lodestone_bench.ros.recording_node:main",
        ]
    },
)
