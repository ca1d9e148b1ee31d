"""The examples do what their first lines say, beside a real relay."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

programs, culm, root = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
for example in ("sensor", "dashboard", "chat"):
    lines = (root / f"tools/examples/{example}.cpp").read_text().splitlines()
    assert len(lines) <= 60, f"{example} is too long"


def start(*command, place):
    return subprocess.Popen([str(part) for part in command], cwd=place, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def tell(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


with tempfile.TemporaryDirectory() as place:
    os.environ["CULM_MARKS"] = place + "/marks"
    relay_command = [culm, "--store", "relay", "--json", "relay", "--accept-any", "--listen"]
    started = []
    try:
        relay = start(*relay_command, "127.0.0.1:0", place=place)
        started.append(relay)
        address = json.loads(relay.stdout.readline())["address"]
        sensor = start(programs / "sensor", "sensor-store", "key", address, place=place)
        started.append(sensor)
        log = sensor.stdout.readline().strip()
        tell(sensor, "20.5")
        assert sensor.stdout.readline() == "1 pushed\n"
        dashboard = start(programs / "dashboard", "dashboard-store", address, log, place=place)
        started.append(dashboard)
        assert dashboard.stdout.readline() == f"{log[:8]} 1 20.5\n"
        tell(sensor, "21.0")
        assert sensor.stdout.readline() == "2 pushed\n"
        assert dashboard.stdout.readline() == f"{log[:8]} 2 21.0\n"

        relay.terminate()
        relay.wait(timeout=60)
        tell(sensor, "21.5")
        kept = sensor.stdout.readline()
        assert kept.startswith("3 kept: "), kept
        started.append(start(*relay_command, address, place=place))
        assert json.loads(started[-1].stdout.readline())["address"] == address
        tell(sensor, "22.0")
        assert sensor.stdout.readline() == "4 pushed\n"
        assert dashboard.stdout.readline() == f"{log[:8]} 3 21.5\n"
        assert dashboard.stdout.readline() == f"{log[:8]} 4 22.0\n"

        ann = start(programs / "chat", "ann", "ann-key", address, place=place)
        started.append(ann)
        ann_log = ann.stdout.readline().strip()
        tell(ann, "anybody here?")
        bob = start(programs / "chat", "bob", "bob-key", address, ann_log, place=place)
        started.append(bob)
        bob.stdout.readline()
        assert bob.stdout.readline() == f"{ann_log[:8]}: anybody here?\n"
        tell(ann, "so you are")
        assert bob.stdout.readline() == f"{ann_log[:8]}: so you are\n"
        for chat in (ann, bob):
            chat.stdin.close()
            assert chat.wait(timeout=60) == 0

        sensor.stdin.close()
        assert sensor.wait(timeout=60) == 0
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=60)
