"""A log is forgotten: no trace of it is left, whatever happens meanwhile."""

import shutil
import subprocess
import time

from relay_harness import NetworkScenario
from scenario import CULM, NOT_FOUND, USAGE, main

PATIENCE_SECONDS = 60


class Forget(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.new_log(self.lines(100), key=(self.key, self.author))

    def move_to_another_machine(self):
        """Where nobody has appended to the log: it is not one's own."""
        self.environment["CULM_MARKS"] = self.path("no-marks")

    def known(self, store):
        return [line["log"] for line in self.json_lines("ls", store=store)]

    def test_a_log_is_gone_and_is_not_fetched_again_unless_it_is_named(self):
        relay = self.relay("store")
        _, other = self.keygen("other.key")
        self.new_log(self.lines(5), key=(self.path("other.key"), other))
        self.sync("reader", relay.address, self.author, other)
        self.move_to_another_machine()
        self.assertEqual(self.text("forget", self.author, "--dry-run", store="reader"),
                         f"would forget {self.author[:12]}: 100 entries, 100 payloads (3.1 kB); no "
                         "author marks say whether it is your own\n")
        self.assertCountEqual(self.known("reader"), [self.author, other])
        said = self.text("forget", self.author, store="reader")
        self.assertIn("forgot ", said)
        self.assertIn("100 entries", said)
        self.assertNotIn("again", said)
        self.assertEqual(self.known("reader"), [other])
        self.error(NOT_FOUND, "cat", self.author, store="reader")
        self.assert_sound("reader")
        self.sync("reader", relay.address)
        self.assertEqual(self.known("reader"), [other])
        self.error(NOT_FOUND, "forget", self.author, store="reader")
        self.sync("reader", relay.address, self.author)
        self.assertEqual(self.printed("reader", self.author), self.lines(100))
        self.assert_sound("reader")

    def test_ones_own_log_is_refused_unless_that_is_said(self):
        said = self.error(USAGE, "forget", self.author)
        self.assertIn(f"culm: forget: {self.author[:12]}: this log is your own", said)
        self.assertIn("--own", said)
        looked = self.text("forget", self.author, "--dry-run")
        self.assertTrue(looked.endswith("; it is your own, which needs --own\n"), looked)
        self.assertNotIn("--own", self.text("forget", self.author, "--dry-run", "--own"))
        would = self.json("forget", self.author, "--dry-run")
        self.assertEqual((would["type"], would["own"], would["needs_own"]),
                         ("would_forget", True, True))
        self.assertEqual(self.known("store"), [self.author])
        relay = self.relay("relay", "--accept-any")
        self.sync("store", relay.address, "--push")
        self.out("forget", self.author, "--own")
        self.assertEqual(self.known("store"), [])
        self.assertIn("holds nothing of this log", self.error(NOT_FOUND, "forget", self.author + ".0"))
        # It forks nothing: the log is taken back before it goes on.
        said = self.error(7, "append", "--key", self.key, stdin=b"more")
        self.assertIn("next: name the store that holds them with --store DIR", said)
        self.assertIn("or after a forget, the log does not go on by itself: take the rest from", said)
        self.assertIn(f"begin another log: `culm append --key {self.key} --log-id N`", said)
        self.sync("store", relay.address, self.author)
        self.out("append", "--key", self.key, stdin=b"more")
        self.assertEqual(self.json("ls")["head"], 101)

    def test_a_log_is_ones_own_in_whichever_store_of_this_machine_it_lies(self):
        relay = self.relay("store")
        self.sync("copy", relay.address, self.author)
        self.assertIn("is your own", self.error(USAGE, "forget", self.author, store="copy"))
        self.assertIn("is your own", self.text("forget", self.author, "--dry-run", store="copy"))
        self.assertEqual(self.known("copy"), [self.author])
        self.move_to_another_machine()
        self.out("forget", self.author, store="copy")
        self.assertEqual(self.known("copy"), [])

    def test_what_may_be_the_only_copy_is_refused_where_no_marks_say_whose_it_is(self):
        self.move_to_another_machine()
        for said in (self.error(USAGE, "forget", self.author),
                     self.text("forget", self.author, "--dry-run")):
            self.assertIn("may be", said)
        would = self.json("forget", self.author, "--dry-run")
        self.assertEqual((would["own"], would["needs_own"]), (False, True))
        self.assertEqual(self.known("store"), [self.author])
        relay = self.relay("store")
        self.sync("copy", relay.address, self.author)
        relay.end()
        for store in "store", "copy":  # of a relay, and of who reads
            would = self.json("forget", self.author, "--dry-run", store=store)
            self.assertEqual((would["own"], would["needs_own"]), (False, False))
            self.assertIn("no author marks say whether it was your own",
                          self.text("forget", self.author, store=store))

    def test_of_an_author_each_log_is_forgotten(self):
        for log_id in 3, 7:
            self.out("append", "--key", self.key, "--log-id", log_id, stdin=b"x")
        self.out("append", "--key", self.keygen("other.key")[0], stdin=b"x")
        self.assertIn("nothing was forgotten", self.error(USAGE, "forget", self.author))
        for options, verb in (["--dry-run"], "would forget"), ([], "forgot"):
            lines = self.text("forget", self.author, "--own", *options).splitlines()
            self.assertEqual([line.split(":")[0] for line in lines],
                             [f"{verb} {self.author[:12]}{log}" for log in ("", ".3", ".7")])
        self.assertEqual(len(self.known("store")), 1)

    def test_beside_a_node_that_serves_it(self):
        author = self.relay("store")
        self.sync("middle", author.address, self.author)
        middle = self.relay("middle")
        live = self.live("reader", middle.address, self.author)
        live.wait_for(event="caught_up")
        self.json("forget", self.author, "--own", store="middle")
        self.assertEqual(self.known("middle"), [])
        self.sync("middle", author.address, self.author, "--newest", "3")
        self.assertEqual(self.json("ls", store="middle")["entries"], 3)
        live.wait_for(event="caught_up")  # who was denied asks again
        live.end()
        middle.end()
        self.assert_sound("middle", "reader")
        self.assertEqual(self.printed("reader", self.author), self.lines(100))

    def test_while_a_sync_fetches_it(self):
        author = self.relay("store")
        live = self.live("reader", author.address, self.author)
        live.wait_for(event="caught_up")
        said = self.text("forget", self.author, "--own", store="reader")
        self.assertIn("; a live sync here that was asked for it fetches it again\n", said)
        # The sync was asked for it and goes on.
        self.new_log(["more"], key=(self.key, self.author))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.known("reader") or self.json("ls", store="reader")["head"] < 101:
            self.assertLess(time.monotonic(), deadline, live.said())
        live.end()
        self.assert_sound("reader")

    def test_a_sync_that_names_no_log_lets_it_go(self):
        author = self.relay("store")
        key, other = self.keygen("other.key")
        self.new_log(self.lines(5), key=(key, other))
        self.sync("reader", author.address, self.author, other)
        live = self.live("reader", author.address)
        for _ in range(2):
            live.wait_for(event="caught_up")
        self.json("forget", self.author, "--own", store="reader")
        self.assertEqual(live.wait_for(event="forgotten"),
                         {"type": "event", "event": "forgotten", "log": self.author})
        self.new_log(["more"], key=(self.key, self.author))
        self.new_log(["more"], key=(key, other))
        live.wait_for(event="received", log=other, up_to=6)
        self.assertEqual(self.known("reader"), [other])
        self.json("forget", other, "--own", store="reader")
        live.wait_for(event="forgotten", log=other)
        self.assertEqual(live.process.wait(PATIENCE_SECONDS), 0)
        self.assertEqual(self.known("reader"), [])
        self.assert_sound("reader")

    def test_a_kill_leaves_nothing_half_and_the_next_time_finishes_it(self):
        _, other = self.keygen("big.key")
        self.new_log(self.lines(40_000), key=(self.path("big.key"), other))
        shutil.copytree(self.path("store"), self.path("whole"))
        finished = left = 0
        for n in range(7):
            store = f"copy{n}"
            shutil.copytree(self.path("whole"), self.path(store))
            process = self.start("--store", self.path(store), "forget", other, "--own")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while other in self.known(store):
                self.assertLess(time.monotonic(), deadline)
            process.kill()
            process.wait()
            self.assert_sound(store)
            self.assertEqual(self.known(store), [self.author])
            left += self.json("du", store=store)["forgotten_bytes"]
            if n % 3 == 2:
                self.json("compact", store=store)
            # Nothing is left to do where the first, or a compact, has come to its end.
            again = subprocess.run([CULM, "--store", self.path(store), "forget", other],
                                   capture_output=True, timeout=PATIENCE_SECONDS)
            self.assertIn(again.returncode, (0, NOT_FOUND), again)
            finished += again.returncode == 0
            if n % 3 == 2:
                self.assertEqual(again.returncode, NOT_FOUND)
                self.assertLess(self.json("du", store=store)["file_bytes"], 200_000)
            space = self.json("du", store=store)
            self.assertEqual(space["forgotten_bytes"], 0)
            self.assertLess(space["other_bytes"], 100_000)
            self.assert_sound(store)
        self.assertGreater(finished, 0)
        self.assertGreater(left, 0)


if __name__ == "__main__":
    main()
