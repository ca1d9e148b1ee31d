"""The library as others get it: installed into an empty directory, found there by find_package, by
components or by pkg-config, and used by programs of theirs: the README's example, one that needs
but a part, and one without CMake."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

build, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
cmake, generator = sys.argv[3:]
LISTS = """cmake_minimum_required(VERSION 3.25)
project(consumer CXX)
find_package(culm REQUIRED)
add_executable(consumer example.cpp)
target_link_libraries(consumer PRIVATE culm::culm)
"""
PART = """cmake_minimum_required(VERSION 3.25)
project(part CXX)
find_package(culm REQUIRED COMPONENTS feed)
if(TARGET PkgConfig::lmdb)
  message(FATAL_ERROR "a part that has no store looked for LMDB")
endif()
find_package(culm QUIET COMPONENTS nonsense)
if(culm_FOUND)
  message(FATAL_ERROR "there is a component called nonsense")
endif()
add_executable(part part.cpp)
target_link_libraries(part PRIVATE culm::feed)
"""
PART_PROGRAM = """#include <iostream>
#include <culm/feed/lipmaa.hpp>
int main() { std::cout << culm::lipmaa(40) << '\\n'; }
"""


def run(*command, place=".", **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=300, cwd=place, env=os.environ | more)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


with tempfile.TemporaryDirectory() as directory:
    os.environ["CULM_MARKS"] = directory + "/marks"
    place = pathlib.Path(directory)
    run(cmake, "--install", build, "--prefix", place / "installed")
    include = place / "installed/include"
    for header in include.rglob("*.hpp"):
        for name in re.findall(r'#include ["<](culm/[^">]+)', header.read_text()):
            assert (include / name).exists(), f"{header} includes {name}, which is not installed"
    consumer = place / "consumer"
    consumer.mkdir()
    (consumer / "CMakeLists.txt").write_text(LISTS)
    shutil.copy(source / "tests/consumer/example.cpp", consumer)
    run(cmake, "-G", generator, "-S", consumer, "-B", place / "build",
        f"-DCMAKE_PREFIX_PATH={place / 'installed'}",
        "-DCMAKE_BUILD_TYPE=Debug")
    run(cmake, "--build", place / "build")
    assert run(place / "build/consumer", place=place) == "1 hello\n2 world\n"
    share = place / "installed/share"
    for manual in ("man/man1/culm.1", "man/man1/culm-sync.1", "bash-completion/completions/culm",
                   "zsh/site-functions/_culm", "fish/vendor_completions.d/culm.fish"):
        assert (share / manual).stat().st_size > 500, manual
    said = run(place / "installed/bin/culm", "--version")
    assert said.startswith("culm "), said

    part = place / "part"
    part.mkdir()
    (part / "CMakeLists.txt").write_text(PART)
    (part / "part.cpp").write_text(PART_PROGRAM)
    run(cmake, "-G", generator, "-S", part, "-B", place / "build-part",
        f"-DCMAKE_PREFIX_PATH={place / 'installed'}")
    run(cmake, "--build", place / "build-part")
    assert run(place / "build-part/part", place=place) == "13\n"

    (pc,) = (place / "installed").rglob("culm.pc")
    flags = run("pkg-config", "--cflags", "--libs", "culm", PKG_CONFIG_PATH=str(pc.parent)).split()
    run("c++", "-std=c++20", "-o", place / "sensor", source / "tools/examples/sensor.cpp", *flags)
    done = subprocess.run([place / "sensor"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "usage: sensor" in done.stderr, done
