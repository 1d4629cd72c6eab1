"""Builds Unitree's message package `unitree_go`, as far as our driver needs it, with ROS 2's own generators.

    python build.py DIR    # then PYTHONPATH=DIR finds it

A ROS package would do this with CMake and colcon, which a virtual environment of ROS wheels does not have. All of it
goes into one library, the Python extension that `unitree_go.msg` loads; its data type support is that of Fast DDS.
"""

import itertools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
from ament_index_python import get_package_prefix
from rosidl_adapter.msg import convert_msg_to_idl
from rosidl_generator_c.cli import GenerateC
from rosidl_generator_py.cli import GeneratePython
from rosidl_generator_type_description.cli import HashTypeDescription
from rosidl_typesupport_c.cli import GenerateCTypesupport
from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport

PACKAGE = "unitree_go"
LIBRARIES = (
    "fastcdr",
    "rosidl_runtime_c",
    "rosidl_typesupport_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_fastrtps_cpp",
)


def generate(package: Path) -> None:
    """Writes sources and Python modules for each definition beside this file."""
    here = Path(__file__).parent
    definitions = sorted(path.relative_to(here) for path in here.glob("msg/*.msg"))
    idls = [convert_msg_to_idl(here, PACKAGE, path, package / path.parent) for path in definitions]
    arguments = (PACKAGE, [f"{package}:{idl.relative_to(package)}" for idl in idls], [], package)
    hashes = HashTypeDescription("").generate_type_hashes(*arguments)
    GenerateC("").generate(*arguments, hashes)
    GenerateFastRTPSCTypesupport("").generate(*arguments)
    GenerateCTypesupport("", typesupport_implementations=["rosidl_typesupport_fastrtps_c"]).generate(*arguments)
    GeneratePython("", typesupport_implementations=["rosidl_typesupport_c"]).generate(*arguments)


def build(package: Path) -> None:
    """Compiles what `generate` wrote, most of it in one go: the headers cost more than the sources."""
    folders = (package, package / "msg", package / "msg/detail")
    sources, cpp_sources = (
        [path for folder in folders for path in sorted(folder.glob(pattern))] for pattern in ("*.c", "*.cpp")
    )
    descriptions = [path for path in sources if path.name.endswith("__description.c")]  # all define the same names
    joint, cpp_joint = package / "joint.c", package / "cpp_joint.cpp"
    joint.write_text("".join(f'#include "{path}"\n' for path in sources if path not in descriptions))
    cpp_joint.write_text("".join(f'#include "{path}"\n' for path in cpp_sources))

    prefix = Path(get_package_prefix("rosidl_runtime_c"))
    includes = [package.parent, sysconfig.get_path("include"), np.get_include(), prefix / "include"]
    includes += sorted((prefix / "include").glob("*/"))
    options = ["-O0", "-w", "-fPIC", *itertools.chain.from_iterable(("-isystem", str(path)) for path in includes)]
    cpp_object = cpp_joint.with_suffix(".o")
    subprocess.run(["g++", "-std=c++17", *options, "-c", cpp_joint, "-o", cpp_object], check=True)
    extension = package / f"{PACKAGE}_s__rosidl_typesupport_c{sysconfig.get_config_var('EXT_SUFFIX')}"
    libraries = [f"-L{prefix / 'lib'}", f"-Wl,-rpath,{prefix / 'lib'}", *(f"-l{name}" for name in LIBRARIES)]
    objects = [joint, *descriptions, cpp_object]
    subprocess.run(["gcc", *options, "-shared", *objects, *libraries, "-o", extension], check=True)


if __name__ == "__main__":
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)  # where the wheels' resources are
    directory = Path(sys.argv[1]).resolve() / PACKAGE
    directory.mkdir(parents=True)
    (directory / "__init__.py").touch()
    generate(directory)
    build(directory)
