"""What strangers can do to a relay: each attack of tests/attacks for a few seconds, and beside it 50
appends and a sync of honest people. Figures are printed; CULM_ATTACK=long makes them count."""

import json
import os
import subprocess
import threading
import time

from relay_harness import NetworkScenario
from scenario import NETWORK, main

ATTACK = os.environ.get("CULM_ATTACK_PROGRAM", "culm_attack")
LONG = os.environ.get("CULM_ATTACK") == "long"
SANITIZED = bool(os.environ.get("CULM_SANITIZE"))
ENTRIES = 17000  # where 4,096 ranges find entries
APPENDS = 50 if LONG else 20
# How the machine is loaded decides about times, so a test only sees that nothing stands still; and of
# a machine that gives a process a part of a core alone it asks no more than that part.
APPEND_SECONDS_MAX = 0.5 if LONG else 5
MEMORY_MAX, MEMORY_PER_CONNECTION_MAX = 64 << 20, 12 << 10
LINES_PER_SECOND_MAX = 10


def slowness():
    """How many times longer work takes than it would on a core of its own."""
    began, work_began = time.monotonic(), time.thread_time()
    while time.thread_time() - work_began < 0.2:
        pass
    return (time.monotonic() - began) / (time.thread_time() - work_began)


class Relay:
    """A relay with a log in it, its memory and its lines from when it was made."""

    def __init__(self, test, entries):
        self.test = test
        self.key = test.keygen()
        self.author = self.key[1]
        test.new_log((f"line {n}" for n in range(entries)), key=self.key, store="relay")
        self.node = test.relay("relay", "--accept", self.author, "--log-level", "debug",
                               listen="127.0.0.1:0")
        self.memory_before = self.memory()
        self.begun = time.monotonic()

    def memory(self):
        """Bytes that are not pages of the store."""
        with open(f"/proc/{self.node.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("RssAnon"))
        return int(line.split()[1]) << 10

    def lines(self):
        return len(self.node.said().splitlines())


class Attack(NetworkScenario):
    figures = []

    @classmethod
    def tearDownClass(cls):
        for name, *figures in cls.figures:
            print(f"{name:10}", *figures)

    def attack(self, name, port=0, log="0" * 64, seconds=0, count=0):
        process = subprocess.Popen([ATTACK, name, str(port), log, str(seconds), str(count)],
                                   stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        line = process.stdout.readline()
        if not line:
            self.fail(f"{name} ends with {process.wait()}")
        return process, json.loads(line)

    def beside(self, name, short, long, connections, entries=600):
        """Attacks a relay that holds a log of so many entries, and returns the relay."""
        count, seconds = long if LONG else short
        relay = Relay(self, entries)
        port = relay.node.address.rsplit(":", 1)[1]
        slow = slowness()
        process, _ = self.attack(name, port, relay.author, seconds, count)
        peak = [relay.memory()]
        is_over = threading.Event()

        def watch():
            while not is_over.wait(0.02):
                peak[0] = max(peak[0], relay.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            began = time.monotonic()
            logs, whole = self.sync("reader", relay.node.address, relay.author, "--newest", "500")
            sync_took = time.monotonic() - began
            slowest = max(self.append(relay, n) for n in range(APPENDS))
            said = json.loads(process.stdout.readline())
        finally:
            is_over.set()
            watcher.join()
        slow = max(slow, slowness())
        took = time.monotonic() - relay.begun
        grown = peak[0] - relay.memory_before
        lines = relay.lines() / took
        self.figures.append((
            name, f"append {slowest:.3f} s (work takes {slow:.1f} times as long),",
            f"sync {sync_took:.2f} s,", f"{grown / 1e6:.1f} MB,", f"{lines:.1f} lines/s,",
            json.dumps(said)))
        self.assertEqual(logs[0]["state"], "complete", (logs, whole))
        self.assertLessEqual(slowest, APPEND_SECONDS_MAX * (1 if LONG else slow))
        self.assertLessEqual(lines, LINES_PER_SECOND_MAX, relay.node.said()[-3000:])
        if not SANITIZED:
            bound = MEMORY_MAX + MEMORY_PER_CONNECTION_MAX * (count if connections else 1)
            self.assertLessEqual(grown, bound)
        relay.node.end()
        return relay, said

    def append(self, relay, n):
        began = time.monotonic()
        self.out("append", "--key", relay.key[0], stdin=f"beside {n}".encode(), store="relay")
        return time.monotonic() - began

    def test_offers_of_logs_that_nobody_brings(self):
        relay, _ = self.beside("offers", (20, 3), (40, 10), False)
        logs = self.json_lines("ls", store="relay")
        self.assertEqual([log["log"] for log in logs], [relay.author])
        self.assert_sound("relay")

    def test_comparisons_that_lead_to_nothing(self):
        self.beside("evidence", (8, 3), (64, 20), True)

    def test_sessions_that_leave_their_credit(self):
        self.beside("idle", (200, 3), (4160, 40), True)

    def test_peers_that_do_not_read(self):
        self.beside("deaf", (16, 3), (512, 30), True)

    def test_wants_and_quotes_that_cost_much(self):
        self.beside("wants", (8, 4), (64, 20), True, ENTRIES)

    def test_messages_that_never_end(self):
        # On a busy machine fewer come in 4 s than have no room.
        seconds = round(4 * min(slowness(), 4))
        _, said = self.beside("begun", (400, seconds), (1500, 30), True)
        self.assertGreater(said["ended"], 0)

    def test_more_small_messages_than_can_be_looked_at(self):
        self.beside("pings", (2000, 3), (2000, 20), True)

    def test_connections_of_one_address_that_say_nothing(self):
        self.beside("bare", (200, 3), (1000, 20), True)

    def provider(self, name):
        idle = 6 if LONG else 2
        process, ready = self.attack(name, seconds=60)
        began = time.monotonic()
        lines = self.json_lines("sync", f"127.0.0.1:{ready['port']}", ready["log"], "--timeout",
                                idle, store="reader", status=NETWORK)
        took = time.monotonic() - began
        said = json.loads(process.stdout.readline())
        self.figures.append((name, f"sync {took:.1f} s,", json.dumps(said)))
        self.assertEqual(len(lines), 2, lines)
        self.assertEqual(lines[1]["peers"][0]["state"], "unsolicited", lines)
        self.assertLessEqual(took, 3 * idle + 10)
        self.assertLessEqual(said["sent"], 8 << 20)

    def test_a_provider_that_repeats_one_part(self):
        self.provider("parts")

    def test_a_provider_that_repeats_one_unit(self):
        self.provider("units")


if __name__ == "__main__":
    main()
