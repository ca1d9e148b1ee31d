"""The library as others get it: installed into an empty directory, found there by find_package, and
used by a program of theirs, which is the README's example."""
import pathlib
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


def run(*command, place="."):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=300, cwd=place)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


with tempfile.TemporaryDirectory() as directory:
    place = pathlib.Path(directory)
    run(cmake, "--install", build, "--prefix", place / "installed")
    consumer = place / "consumer"
    consumer.mkdir()
    (consumer / "CMakeLists.txt").write_text(LISTS)
    shutil.copy(source / "tests/consumer/example.cpp", consumer)
    run(cmake, "-G", generator, "-S", consumer, "-B", place / "build",
        f"-DCMAKE_PREFIX_PATH={place / 'installed'}",
        "-DCMAKE_BUILD_TYPE=Debug")
    run(cmake, "--build", place / "build")
    assert run(place / "build/consumer", place=place) == "1 hello\n2 world\n"
    said = run(place / "installed/bin/culm", "--version")
    assert said.startswith("culm "), said
