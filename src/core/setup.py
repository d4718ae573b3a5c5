"""Installation of lodestone_core by colcon (ament_python)."""

from setuptools import find_packages, setup

PACKAGE = "lodestone_core"

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
    entry_points={"console_scripts": ["record_node = lodestone_core.ros.record_node:main"]},
)
