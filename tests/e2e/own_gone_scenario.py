"""Own logs that are not in the store, though their marks tell of it, as where an old backup was
restored."""

import shutil

from relay_harness import NetworkScenario
from scenario import NOT_FOUND, USAGE, main

NOT_HERE = "not in this store"


class OwnGone(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.append(0)

    def append(self, log_id, key=None, store=None):
        self.out("append", "--key", key or self.key, "--log-id", log_id, stdin=b"x", store=store)

    def push(self):
        self.peer = self.relay("relay", "--accept-any")
        self.address = self.peer.address
        self.out("sync", self.address, "--push")

    def restore(self, backup="copy"):
        shutil.move(self.path("store"), self.path("before"))
        shutil.copytree(self.path(backup), self.path("store"))

    def gone(self, *arguments, **options):
        return [line["log"] for line in self.json_lines(*arguments, **options)
                if line["type"] == "own_gone"]

    def test_logs_begun_since_a_backup_are_named_and_come_back(self):
        self.out("backup", "copy")
        self.append(1)
        self.text("name", self.author, "alice")
        self.push()
        for verb in "ls", "verify":
            self.assertNotIn(NOT_HERE, self.text(verb))
        self.restore()
        for verb in ["ls"], ["verify"], ["sync", self.address]:
            said = self.text(*verb)
            self.assertIn(f"1 log of your own is {NOT_HERE}", said)
            self.assertRegex(said, r"`culm sync \S+ alice\.1`")
            self.assertEqual(self.gone(*verb), [f"{self.author}.1"])
        self.assertEqual(self.text("ls", self.author).count(NOT_HERE), 0)
        self.paste(said, "sync")
        for verb in ["ls"], ["verify"], ["sync", self.address]:
            self.assertNotIn(NOT_HERE, self.text(*verb))
        self.assertEqual([log["log"] for log in self.json_lines("ls")],
                         [self.author, f"{self.author}.1"])

    def test_what_came_beside_a_live_sync_is_not_named_at_its_end(self):
        self.out("backup", "copy")
        self.append(1)
        self.push()
        self.restore()
        live = self.live("store", self.address)
        live.wait_for(event="caught_up")
        self.out("sync", self.address, f"{self.author}.1")
        live.wait_for(event="joined")
        self.assertNotIn("own_gone", [line["type"] for line in live.end()])

    def test_a_store_of_which_the_backup_was_empty_says_so(self):
        other = self.keygen("other.key")
        self.append(0, key=other[0])
        self.out("forget", other[1], "--own")
        self.out("forget", self.author, "--own")
        self.out("backup", "copy")
        self.append(1)
        self.push()
        self.restore()
        for verb in "ls", "verify":
            self.assertTrue(self.text(verb).startswith("no logs\n1 log of your own is "))
        said = self.error(USAGE, "sync", self.address)
        self.paste(said, "sync")
        self.assertEqual(self.gone("ls"), [])

    def test_one_that_nobody_was_asked_of_is_known_by_the_file_it_was_written_beside(self):
        self.push()
        self.out("backup", "copy")
        self.peer.end()
        self.append(1, key=self.keygen("other.key")[0])
        self.append(2)
        self.assertEqual([mark["unasked"] for mark in self.json_lines("mark")].count(True), 2)
        self.restore()
        self.assertEqual(len(self.gone("ls")), 2)

    def test_what_was_forgotten_is_not_missed_also_in_a_store_that_was_restored(self):
        for log_id in 1, 2:
            self.append(log_id)
        self.push()
        self.out("forget", f"{self.author}.1", "--own")
        self.out("backup", "copy")
        self.append(3)
        self.out("forget", f"{self.author}.3", "--own")
        for verb in ["ls"], ["sync", self.address]:
            self.assertEqual(self.gone(*verb), [])
        self.restore()
        for verb in ["ls"], ["verify"], ["sync", self.address]:
            self.assertEqual(self.gone(*verb), [])
        self.assertNotIn("is not here", self.text("sync", self.address, self.author))
        # One that is taken back and appended to is missed again.
        self.out("backup", "later")
        self.out("sync", self.address, f"{self.author}.1")
        self.append(1)
        shutil.rmtree(self.path("before"))
        self.restore("later")
        self.assertEqual(self.gone("ls"), [f"{self.author}.1"])

    def test_one_that_is_not_to_be_had_any_more_is_let_go(self):
        self.append(1)
        self.out("backup", "copy")
        self.append(2)
        self.push()
        self.restore()
        self.assertEqual(self.gone("ls"), [f"{self.author}.2"])
        self.error(NOT_FOUND, "forget", f"{self.author}.2")
        said = self.text("ls")
        for log in f"{self.author}.2", self.author:  # alone, and beside others of the author
            self.assert_foretold(log)
        self.paste(said, "forget")
        self.assertEqual(self.gone("ls"), [])
        self.assertEqual(len(self.json_lines("ls")), 2)

    def assert_foretold(self, log):
        """That `forget --own`, in a copy of the store and with marks as they were, does what it
        says."""
        marks = self.environment["CULM_MARKS"]
        for place in marks, self.path("store"):
            shutil.move(place, f"{place}.kept")
            shutil.copytree(f"{place}.kept", place)
        would = self.json_lines("forget", log, "--own", "--dry-run")
        said = self.text("forget", log, "--own", "--dry-run")
        self.assertIn(f"would forget {self.author[:12]}.2: nothing of it is in this store\n", said)
        self.assertEqual(self.gone("ls"), [f"{self.author}.2"])
        done = self.json_lines("forget", log, "--own")
        self.assertEqual([(line.pop("type"), line.pop("needs_own")) for line in would],
                         [("would_forget", True)] * len(done))
        self.assertEqual([line.pop("type") for line in done], ["forgotten"] * len(would))
        self.assertEqual(done, would)
        for place in marks, self.path("store"):
            shutil.rmtree(place)
            shutil.move(f"{place}.kept", place)

    def test_what_another_store_forgets_this_one_misses_all_the_same(self):
        self.push()
        self.out("sync", self.address, self.author, store="reader")
        self.out("backup", "copy")
        self.append(1)
        self.append(0, key=self.keygen("other.key")[0], store="other")
        for store in "other", "reader":
            for options in [], ["--dry-run"]:
                said = self.error(NOT_FOUND, "forget", f"{self.author}.1", "--own", *options,
                                  store=store)
                self.assertIn("holds nothing of this log", said)
        # Of the author that one has a copy of log 0, and of log 1 nothing.
        self.assertEqual([line["log"] for line in
                          self.json_lines("forget", self.author, "--own", store="reader")],
                         [self.author])
        self.out("sync", self.address, "--push")
        self.out("sync", self.address, f"{self.author}.1", store="reader")
        self.out("forget", f"{self.author}.1", "--own", store="reader")
        # So may backups.
        self.out("backup", "later")
        shutil.copytree(self.path("store"), self.path("copied"))
        for store in "later", "copied":
            self.out("forget", self.author, "--own", store=store)
        self.restore()
        said = self.text("ls")
        self.assertEqual(self.gone("ls"), [f"{self.author}.1"])
        self.paste(said, "forget")
        self.assertEqual(self.gone("ls"), [])

    def test_logs_of_another_store_are_not_missed(self):
        self.append(0, key=self.keygen("other.key")[0], store="other")
        self.push()
        self.out("sync", self.address, "--push", store="other")
        self.append(1, store="other")
        for store in "store", "other":
            self.assertEqual(self.gone("ls", store=store), [])
        self.out("sync", self.address, self.author, store="reader")
        self.assertEqual(self.gone("ls", store="reader"), [])
        # Who asks for the author's own is told of those as well.
        self.assertIn(f"{self.author}.1", self.text("sync", self.address, self.author))

    def test_many_are_cut_short_with_a_count(self):
        self.out("backup", "copy")
        for log_id in range(1, 13):
            self.append(log_id)
        self.push()
        self.restore()
        said = self.text("ls")
        self.assertIn("12 logs of your own are", said)
        self.assertRegex(said, r"takes them but for \d, which `culm ls --json` names, from a peer")
        self.assertLess(len(said), 1000)
        self.paste(said, "sync", **{"HOST:PORT": self.address})
        self.assertLess(len(self.gone("ls")), 12)


if __name__ == "__main__":
    main()
