"""kill -9 of author, relay and reader in the middle of what they do, and what is there afterwards.
Each is killed when another process sees it half way, so nothing depends on the speed of the machine;
`CULM_SEED` chooses other places than the usual ones."""

import json
import os
import random
import subprocess
import time

from relay_harness import NetworkScenario
from scenario import CULM, main

SEED = int(os.environ.get("CULM_SEED", "1"))
ENTRIES = 30_000
PATIENCE_SECONDS = 60


class Kills(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print(f"CULM_SEED={SEED} python3 kill_scenario.py", flush=True)
        self.key, self.author = self.keygen()
        self.text_lines = self.lines(ENTRIES)

    def held(self, store):
        """How many entries another process sees in the store now; 0 while it is being made."""
        done = subprocess.run([CULM, "--store", self.path(store), "--json", "ls"],
                              capture_output=True, timeout=PATIENCE_SECONDS)
        logs = [json.loads(line) for line in done.stdout.splitlines()] if not done.returncode else []
        return sum(log["entries"] + log["certificate_entries"] for log in logs)

    def head(self, store):
        return self.json("ls", store=store)["head"]

    def kill_half_way(self, process, store, more):
        """Kills the process once its store holds up to `more` entries more; what was seen."""
        enough = min(self.held(store) + self.random.randrange(1, more), ENTRIES)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (seen := self.held(store)) < enough:
            self.assertLess(time.monotonic(), deadline, f"{store} holds {seen} of {enough}")
        process.kill()
        process.wait()
        return seen

    def append_rest(self, store):
        """Appends what the store has not of all lines; it must be the head of them."""
        head = self.head(store)
        self.assertEqual(self.printed(store, self.author), self.text_lines[:head])
        if head < len(self.text_lines):
            self.new_log(self.text_lines[head:], key=(self.key, self.author), store=store)

    def test_an_author_that_is_killed_while_appending_goes_on_unforked(self):
        lines = self.write("lines", "".join(f"{line}\n" for line in self.text_lines))
        for round_ in range(3):
            # The first lines were appended already, so the author starts where the store ends.
            start = self.head("author") if round_ else 0
            self.write("lines", "".join(f"{line}\n" for line in self.text_lines[start:]))
            process = self.start("--store", self.path("author"), "append", "--key", self.key,
                                 "--lines", lines)
            seen = self.kill_half_way(process, "author", max(2, (ENTRIES - start) // 4))
            self.assert_sound("author")
            self.assertGreaterEqual(self.head("author"), seen)
        self.append_rest("author")
        self.assertEqual(self.printed("author", self.author), self.text_lines)
        self.assertIsNone(self.json("ls", store="author")["cap"])
        self.assert_sound("author")

    def test_a_relay_and_a_reader_that_are_killed_while_they_receive_lose_nothing(self):
        self.new_log(self.text_lines, key=(self.key, self.author), store="author")
        relay = self.relay("relay", "--accept-any")
        address = relay.address
        author = self.live("author", address, "--push")
        for _ in range(3):
            seen = self.kill_half_way(relay.process, "relay", ENTRIES // 8)
            self.assert_sound("relay")
            self.assertGreaterEqual(self.held("relay"), seen)
            relay = self.relay("relay", "--accept-any", listen=address)
        author.wait_for(PATIENCE_SECONDS, event="pushed", head=ENTRIES)
        author.end()

        for _ in range(3):
            process = self.start("--store", self.path("reader"), "sync", address, self.author)
            self.kill_half_way(process, "reader", ENTRIES // 8)
            self.assert_sound("reader")
        held = self.held("reader")
        rest = self.sync_one("reader", address, self.author)
        self.assertEqual(rest["entries"], ENTRIES - held)  # what was committed came once
        self.assertEqual(self.printed("reader", self.author), self.text_lines)
        relay.end()
        self.assert_sound("author", "relay", "reader")

    def test_what_a_killed_node_has_acknowledged_is_there_and_reaches_the_others(self):
        relay = self.relay("relay", "--accept-any")
        appended = 1
        self.new_log(self.text_lines[:1], key=(self.key, self.author), store="author")
        for _ in range(4):
            author = self.live("author", relay.address, "--push")
            author.wait_for(event="connected")
            for _ in range(self.random.randrange(1, 5)):
                count = self.random.randrange(1, 40)
                self.new_log(self.text_lines[appended:appended + count],
                             key=(self.key, self.author), store="author")
                appended += count
            # One more is under way: it may come to be or not.
            begun = self.start("--store", self.path("author"), "append", "--key", self.key,
                               self.write("one", self.text_lines[appended]))
            author.kill()
            begun.wait(PATIENCE_SECONDS)
            head = self.head("author")
            self.assertIn(head, (appended, appended + 1))
            if begun.returncode == 0:
                self.assertEqual(head, appended + 1)
            appended = head
            self.assertEqual(self.printed("author", self.author), self.text_lines[:appended])
        relay.kill()
        relay = self.relay("relay", "--accept-any", listen=relay.address)
        pushed = self.sync_one("author", relay.address, "--push")
        self.assertTrue(pushed["pushed"])
        self.assertEqual(self.printed("relay", self.author), self.text_lines[:appended])
        self.assertIsNone(self.json("ls", store="relay")["cap"])
        relay.end()
        self.assert_sound("author", "relay")


if __name__ == "__main__":
    main()
