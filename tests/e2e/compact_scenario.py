"""The disk gets back what deleted payloads took, beside readers and a node."""

import json
import os
import random
import resource
import shutil
import time

from relay_harness import NetworkScenario
from scenario import NOT_FOUND, STORE, main

SEED = int(os.environ.get("CULM_SEED", "1"))
ENTRIES = 2_000
PATIENCE_SECONDS = 60


class Compact(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print(f"CULM_SEED={SEED} python3 compact_scenario.py", flush=True)
        self.key = self.keygen()
        self.author = self.key[1]
        self.log_lines = [f"{n} ".ljust(4096, "x") for n in range(1, ENTRIES + 1)]
        self.new_log(self.log_lines, key=self.key)
        self.full = self.size()

    def size(self, store="store"):
        """Bytes of the store's file: its length, and what it takes of the disk if that is more."""
        status = os.stat(self.path(f"{store}/data.mdb"))
        return max(status.st_size, 512 * status.st_blocks)

    def delete(self, ranges, store=None):
        self.out("delete", self.author, "--payloads", "--range", ranges, store=store)

    def assert_kept(self, numbers, store="store"):
        """The store is sound and has the payloads of these entries, and no others."""
        self.assert_sound(store)
        self.assertEqual(self.printed(store, self.author),
                         [self.log_lines[n - 1] for n in numbers])

    def test_most_of_the_file_is_free_again_wherever_the_deleted_payloads_lay(self):
        scattered = sorted(self.random.sample(range(1, ENTRIES + 1), ENTRIES * 9 // 10))
        ranges = {
            "first": f"1-{ENTRIES * 9 // 10}",
            "last": f"{ENTRIES // 10 + 1}-",
            "nine-of-ten": ",".join(f"{n}-{n + 8}" for n in range(1, ENTRIES, 10)),
            "scattered": ",".join(map(str, scattered)),
        }
        for store, deleted in ranges.items():
            with self.subTest(store):
                shutil.copytree(self.path("store"), self.path(store))
                self.delete(deleted, store=store)
                self.assertGreaterEqual(self.size(store), self.full)
                kept = [line["seqnum"] for line in self.json_lines("log", self.author, store=store)
                        if line["payload_state"] == "held"]
                self.assertEqual(len(kept), ENTRIES // 10)
                report = self.json("compact", store=store)
                self.assertLessEqual(self.size(store), 0.18 * self.full)
                self.assertEqual(report["bytes_after"], self.size(store))
                self.assertEqual(report["bytes_before"] - report["bytes_after"],
                                 report["bytes_freed"])
                self.assert_kept(kept, store)
                # There is nothing to be had a second time.
                self.assertEqual(self.json("compact", store=store)["bytes_freed"], 0)

    def test_small_payloads_leave_no_page_half_full(self):
        lines = [f"{n} ".ljust(1000, "x") for n in range(1, 5001)]
        author = self.new_log(lines, store="small", key=self.keygen("other.key"))
        full = self.size("small")
        self.out("delete", author, "--payloads", "--range",
                 ",".join(f"{n}-{n + 8}" for n in range(1, 5001, 10)), store="small")
        self.json("compact", store="small")
        self.assertLessEqual(self.size("small"), 0.25 * full)
        self.assert_sound("small")
        self.assertEqual(self.printed("small", author), lines[9::10])
        space = self.json("du", store="small")
        held = space["payload_bytes"] + space["entry_bytes"] + space["certificate_bytes"]
        self.assertLessEqual(self.size("small"), 1.25 * held)

    def test_the_log_goes_on_in_the_new_file(self):
        self.delete("1-1990")
        self.assertRegex(self.text("compact"), r"^gave \d+ MB of \d+ MB back to the disk; ")
        for n in range(1, 6):
            self.out("append", "--key", self.key[0], stdin=f"later {n}".encode())
        self.assertEqual(self.printed("store", self.author, "--range", "2001-"),
                         [f"later {n}" for n in range(1, 6)])
        self.assertLess(self.size(), 0.18 * self.full)
        self.assert_sound("store")

    def read_until(self, follower, seqnum):
        for line in follower.stdout:
            if json.loads(line)["seqnum"] == seqnum:
                return
        self.fail(f"follow has ended before {seqnum}")

    def test_readers_and_a_node_go_over_to_the_new_file(self):
        self.delete("1-1800")
        follower = self.start("follow", self.author, "--from-start", "--json")
        self.read_until(follower, ENTRIES)
        relay = self.relay("store")
        report = self.json("compact")
        self.assertLessEqual(report["bytes_after"], 0.18 * self.full)
        # Appended through the node, and seen by who has had the store open all the time.
        self.out("append", "--key", self.key[0], stdin=b"later")
        self.read_until(follower, ENTRIES + 1)
        self.sync("reader", relay.address, self.author, "--range", "1801-")
        self.assertEqual(len(self.printed("reader", self.author)), 201)
        # Once more, now that the node has opened that file itself.
        self.delete("1801-1990")
        self.json("compact")
        self.out("append", "--key", self.key[0], stdin=b"last")
        self.read_until(follower, ENTRIES + 2)
        relay.end()
        self.json("compact")
        self.assert_sound("store", "reader")

    def wait_for_copy(self, process):
        """Until some of the copy is written, or all was done before that was seen."""
        copy = self.path("store/data.mdb.new")
        enough = self.random.randrange(1, int(0.1 * self.full))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            try:
                if os.stat(copy).st_size >= enough:
                    return
            except FileNotFoundError:
                pass

    def test_a_kill_at_any_point_loses_nothing(self):
        self.delete("1-1800")
        for _ in range(10):
            process = self.start("compact")
            self.wait_for_copy(process)
            process.kill()
            process.wait()
            self.assert_kept(range(1801, 2001))
        self.out("append", "--key", self.key[0], stdin=b"later")
        self.assertFalse(os.path.exists(self.path("store/data.mdb.new")))
        self.assertLessEqual(self.json("compact")["bytes_after"], 0.18 * self.full)

    def test_a_node_that_is_killed_while_it_compacts_loses_nothing(self):
        self.delete("1-1800")
        for n in range(5):
            relay = self.relay("store")
            self.out("append", "--key", self.key[0], stdin=b"more")
            asking = self.start("compact")
            self.wait_for_copy(asking)
            relay.kill()
            asking.wait(PATIENCE_SECONDS)
            self.assert_sound("store")
            self.assertEqual(self.json("ls")["head"], ENTRIES + n + 1)

    def test_where_there_is_no_room_for_the_copy_nothing_changes(self):
        self.delete("1-1000")
        size = self.size()
        limit = (size // 4, size // 4)
        said = self.run_culm("compact", status=STORE, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, limit)).stderr.decode()
        needed = self.json("compact", "--dry-run")["bytes_after"]
        self.assertIn(f"free about {needed / 1e6:.1f} MB on the disk for the new file", said)
        self.assertEqual(self.size(), size)
        self.assertFalse(os.path.exists(self.path("store/data.mdb.new")))
        self.assert_kept(range(1001, 2001))

    def test_a_dry_run_says_what_it_would_give_back(self):
        self.delete("1-1800")
        size = self.size()
        would = self.json("compact", "--dry-run")
        self.assertEqual(self.size(), size)
        done = self.json("compact")
        self.assertEqual(would["bytes_before"], done["bytes_before"])
        for key in "bytes_after", "bytes_freed":
            self.assertAlmostEqual(would[key], done[key], delta=0.05 * done[key])
        self.assertIn("would give about 0 B of", self.text("compact", "--dry-run"))

    def test_where_there_is_no_store_none_is_made(self):
        self.error(NOT_FOUND, "compact", store="nowhere")
        self.assertFalse(os.path.exists(self.path("nowhere")))


if __name__ == "__main__":
    main()
