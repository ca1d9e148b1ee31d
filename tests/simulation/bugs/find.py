#!/usr/bin/env python3
"""Builds culm_sim with each of the bugs in this folder and tells how soon it finds it.

    find.py [NAME...]    these bugs, or all of them
    find.py --check      only whether each still applies

Each bug is a patch of the product, applied to a copy. Ends with 1 when one was not found within the
time, or does not apply any more.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SECONDS_MAX = 60
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def must(*command, cwd):
    done = run(*command, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"find.py: {' '.join(map(str, command))} failed:\n{done.stdout}")


def copy_sources(target):
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if not (ROOT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def build(copy):
    must("cmake", "--build", "--preset", "dev", "--target", "culm_sim", cwd=copy)


def find(copy, patch):
    """How many seconds it took to find the bug, and what was seen; None for one that was not."""
    must("git", "apply", str(patch), cwd=copy)
    try:
        build(copy)
        began = time.monotonic()
        done = run("build/dev/tests/simulation/culm_sim", "--first", "--seconds", str(SECONDS_MAX),
                   cwd=copy)
        took = time.monotonic() - began
    finally:
        must("git", "apply", "--reverse", str(patch), cwd=copy)
    seen = [line for line in done.stdout.splitlines()
            if line.startswith(("seed ", "culm: bug", "culm_sim: aborted"))]
    return (took if done.returncode != 0 and seen else None), (seen or ["nothing"])[0]


def check(patches):
    """How many do not apply to the tree as it is."""
    bad = 0
    for patch in patches:
        done = run("git", "apply", "--check", str(patch), cwd=ROOT)
        if done.returncode != 0:
            bad += 1
            print(f"{patch.name} does not apply:\n{done.stdout}")
    return bad


def main():
    patches = sorted(HERE.glob("*.patch"))
    if sys.argv[1:] == ["--check"]:
        return 1 if check(patches) else 0
    if sys.argv[1:]:
        patches = [HERE / f"{name}.patch" for name in sys.argv[1:]]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="culm_bugs_") as folder:
        copy = pathlib.Path(folder)
        copy_sources(copy)
        must("cmake", "--preset", "dev", cwd=copy)
        build(copy)
        for patch in patches:
            took, seen = find(copy, patch)
            missed += took is None
            text = "not found" if took is None else f"{took:6.1f} s"
            print(f"{patch.stem:28} {text:>10}  {seen}", flush=True)
    print(f"{len(patches) - missed} of {len(patches)} bugs found within {SECONDS_MAX} s each")
    return 1 if missed else 0


sys.exit(main())
