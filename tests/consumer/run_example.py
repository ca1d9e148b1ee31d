"""The README shows the example as it is compiled, and it does what the README says: prints two
entries, and gives them to a relay."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

program, culm, root = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
example = (root / "tests/consumer/example.cpp").read_text()
shown = example[example.index("int main"):].strip()
assert shown in (root / "README.md").read_text(), "the README shows another example"
assert len(shown.splitlines()) <= 12, "the example is too long"


def run(*command, place):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout


with tempfile.TemporaryDirectory() as place:
    os.environ["CULM_MARKS"] = place + "/marks"
    relay = subprocess.Popen([culm, "--store", "relay", "relay", "--accept-any", "--json",
                              "--listen", "127.0.0.1:0"], cwd=place, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        address = json.loads(relay.stdout.readline())["address"]
        assert run(program, address, place=place) == "1 hello\n2 world\n"
        held = json.loads(run(culm, "--store", "relay", "ls", "--json", place=place).splitlines()[0])
        assert held["head"] == 2, held
    finally:
        relay.terminate()
        relay.wait(timeout=60)
    # Without a relay it goes on with its own log.
    assert run(program, place=place).endswith("4 world\n")
