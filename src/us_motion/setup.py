"""Installation of us_motion by colcon (ament_python)."""

from setuptools import find_packages, setup

PACKAGE = "us_motion"

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
            "arm_node = us_motion.ros.arm_node:main",
            "ultrasound_node = us_motion.ros.ultrasound_node:main",
        ]
    },
)
