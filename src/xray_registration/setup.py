"""Installation of xray_registration by colcon (ament_python)."""

from setuptools import find_packages, setup

PACKAGE = "xray_registration"

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
    entry_points={"console_scripts": ["xray_node = xray_registration.ros.xray_node:main"]},
)
