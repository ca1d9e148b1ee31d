"""Builds from nothing and prints what compilers and linkers took: CPU seconds in all, and the ten
slowest outputs.
    buildtime.py [PRESET [TARGET]]      release culm_tool, what the demo needs, unless said otherwise
    buildtime.py --compile LOG COMMAND  runs a compiler or linker and adds its CPU seconds to LOG"""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

SHOWN = 10


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compile_one(log, command):
    status = subprocess.run(command).returncode
    output = command[command.index("-o") + 1] if "-o" in command else command[-1]
    with open(log, "a") as file:  # a line is written whole
        file.write(f"{cpu_seconds():.3f} {output}\n")
    sys.exit(status)


def main(preset="release", target="culm_tool"):
    build = pathlib.Path("build/buildtime").absolute()
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    log = build / "seconds.txt"
    launcher = f"{sys.executable};{os.path.abspath(__file__)};--compile;{log}"
    subprocess.run(["cmake", "--preset", preset, "-B", build,
                    f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}",
                    f"-DCMAKE_CXX_LINKER_LAUNCHER={launcher}"], check=True, stdout=subprocess.DEVNULL)
    log.unlink(missing_ok=True)  # what the configuration compiled
    built = subprocess.run(["cmake", "--build", build, "--target", target], capture_output=True, text=True)
    if built.returncode != 0:
        sys.exit(built.stdout + built.stderr)
    rows = sorted(((float(seconds), name) for seconds, name in
                   (line.split(" ", 1) for line in log.read_text().splitlines())), reverse=True)
    total = sum(seconds for seconds, _ in rows)
    print(f"{target} by the preset {preset}: {total:.0f} CPU seconds, {len(rows)} outputs; the slowest:")
    for seconds, name in rows[:SHOWN]:
        print(f"{seconds:8.1f}  {re.sub('CMakeFiles/[^/]*[.]dir/', '', name).removesuffix('.o')}")


if sys.argv[1:2] == ["--compile"]:
    compile_one(sys.argv[2], sys.argv[3:])
main(*sys.argv[1:])
