"""Entries of one's own that are not those that peers hold: nothing forks the log unasked."""

import fcntl
import os
import re
import shutil
import struct
import subprocess

from relay_harness import NetworkScenario
from scenario import CULM, F_OFD_SETLK, FORK, LOCKED, NETWORK, OK, STORE, main


class OwnLog(NetworkScenario):
    """A log of 3 entries that a relay holds as well, and store and marks as they were then."""

    def setUp(self):
        super().setUp()
        self.node = self.relay("relay", "--accept-any")
        self.address = self.node.address
        self.key, self.author = self.push_lines(3, self.node, store="store")
        for name in ("store", "marks"):
            shutil.copytree(self.path(name), self.path(f"{name}-backup"))
        self.append(b"4\n")
        self.sync_one("store", self.address, "--push")

    def restore(self):
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
            shutil.copytree(self.path(f"{name}-backup"), self.path(name))

    def append(self, text, *arguments, status=0):
        return self.error(status, "append", "--key", self.key, "--lines", *arguments, stdin=text)

    def relay_is_back(self):
        return self.relay("relay", "--accept-any", listen=self.address)

    def relay_holds(self, store=None):
        """It stays the peer that it is, with what another store holds, or nothing."""
        os.rename(self.path("relay/peer.key"), self.path("relay.key"))
        shutil.rmtree(self.path("relay"))
        if store:
            shutil.copytree(self.path(store), self.path("relay"))
        os.makedirs(self.path("relay"), exist_ok=True)
        os.replace(self.path("relay.key"), self.path("relay/peer.key"))

    def play(self, said):
        """Does what the next step says, as it is written; the commands."""
        commands = said.split("next: ", 1)[1].split("`")[1::2]
        for command in commands:
            command = command.replace("HOST:PORT", self.address).replace(" LOG", f" {self.author}")
            shell = re.sub(r"\bculm ", f"'{CULM}' ", command).replace("KEY", self.key)
            done = subprocess.run(["bash", "-c", shell.replace("--log-id N", "--log-id 1")],
                                  cwd=self.place, env=self.environment, capture_output=True,
                                  timeout=100)
            self.assertEqual(done.returncode, 0, (command, done.stderr))
        return commands

    def payloads(self, log, seqnums):
        return [self.out("cat", log, "--range", n) for n in seqnums]


class ForgottenLog(OwnLog):
    def test_goes_on_once_it_was_taken_back_as_the_words_say(self):
        self.out("forget", self.author, "--own")
        said = self.append(b"5\n", status=FORK)
        self.play(said.split("; where nobody has it")[0].replace("`culm forget`", "forget"))
        self.append(b"5\n")
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])
        self.assertEqual(self.payloads(self.author, (4, 5)), [b"4", b"5"])

    def test_tells_the_way_on_where_it_was_forgotten_before_a_peer_was_asked(self):
        self.node.end()
        self.restore()
        self.append(b"mine 4\n")
        self.out("forget", self.author, "--own")
        self.relay_is_back()
        self.sync_one("store", self.address, self.author)
        self.sync_one("store", self.address, "--push")
        said = self.append(b"x\n", status=FORK)
        self.assertIn("appended while no peer, or not all, could tell of more are not here", said)
        command = said.split("next: ")[1].split("`")[1].replace("--log-id N", "--log-id 1")
        self.error(0, *command.split()[1:], stdin=b"x")


class OwnBranch(OwnLog):
    """Entries that were appended while no peer could be asked, and that peers hold otherwise."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.restore()
        for text in b"mine 4\n", b"mine 5\nmine 6\n":
            self.append(text)

    def assert_nothing_was_exchanged(self, relay):
        relay.end()
        for store, head in ("relay", 4), ("store", 6):
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)
        return self.relay_is_back()

    def test_is_not_appended_to_once_a_peer_shows_the_other(self):
        relay = self.relay_is_back()
        for arguments in (), ("--gate", "required"):
            said = self.append(b"mine 7\n", *arguments, status=FORK)
            self.assertIn("4-6 were appended here while no peer, or not all, could tell of more", said)
            # Not the author's other logs.
            self.assertIn(f"`culm forget {self.author[:12]}.0 --own`", said)
            who = "a peer that was asked before" if arguments else f"the peer at {self.address}"
            self.assertIn(f"{who} holds another entry 4", said)
        self.assert_nothing_was_exchanged(relay)
        report = self.json("append", "--key", self.key, stdin=b"x", status=FORK)
        self.assertEqual((report["error"], report["seqnum"], report["seqnums"]),
                         ("author_mark_fork", 4, "4-6"))

    def test_is_not_appended_to_after_that_either_while_no_peer_can_be_asked(self):
        relay = self.relay_is_back()
        self.error(FORK, "sync", self.address, "--push")
        relay.end()
        self.assertIn("a peer holds another entry 4 than was appended here", self.text("mark"))
        self.assertIn("; a peer holds another entry 4\n", self.text("ls"))
        self.assertIn("a peer that was asked before holds another entry 4",
                      self.error(FORK, "verify"))
        for arguments in (), ("--gate", "required"), ("--gate", "never"), ("--adopt",):
            said = self.append(b"mine 7\n", *arguments, status=FORK)
            self.assertIn("entries 4-6 were appended here while no "
                          "peer, or not all, could tell of more, and a "
                          "peer that was asked before holds another entry 4", said)
            self.assertNotIn("not sure", said)
        report = self.json("append", "--key", self.key, stdin=b"x", status=FORK)
        self.assertEqual((report["error"], report["seqnum"], report["seqnums"]),
                         ("author_mark_fork", 4, "4-6"))
        # Nor is it shown to a peer that was not met before, and would take it.
        other = self.relay("other", "--accept-any")
        for arguments in [], ["--live"]:
            self.error(FORK, "sync", other.address, "--push", *arguments)
        self.assertEqual(self.json_lines("ls", store="other"), [])
        self.relay_is_back()
        self.play(said)
        self.assertEqual(self.payloads(self.author, range(4, 8)),
                         [b"4", b"mine 4", b"mine 5", b"mine 6"])

    def test_that_was_forgotten_keeps_nobody_from_going_on_behind_the_other(self):
        relay = self.relay_is_back()
        self.take_the_other()
        relay.end()
        said = self.append(b"5\n")
        self.assertIn("not as they were written together", said)
        self.assertIn("no peer, or not all, could tell of more", self.text("mark"))

    def test_is_known_where_the_mark_is_carried_along_with_the_store(self):
        self.relay_is_back()
        self.error(FORK, "sync", self.address, "--push")
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.environment["CULM_MARKS"] = self.path("marks-elsewhere")
        self.out("mark", "--import", "marks.jsonl")
        self.append(b"mine 7\n", "--gate", "never", status=FORK)
        # Nor does a damaged mark lose it.
        mark = self.place / "marks-elsewhere" / f"{self.author}.0.mark"
        mark.write_bytes(bytes(len(mark.read_bytes())))
        self.assertEqual(self.json("mark", "--import", "marks.jsonl")["raised"], 1)
        self.append(b"mine 7\n", "--gate", "never", status=FORK)

    def test_says_of_peers_that_not_all_could_be_asked_where_one_was(self):
        """A second peer that is known, and that holds no more than was restored."""
        self.restore()
        relay = self.relay_is_back()
        other = self.relay("other", "--accept-any")
        self.sync_one("store-backup", other.address, "--push")
        relay.end()
        self.restore()
        for text in b"mine 4\n", b"mine 5\n":
            self.assertIn("only 1 could be asked", self.append(text))
        self.assertIn("(no peer, or not all, could tell of more, see --gate", self.text("mark"))
        self.relay_is_back()
        said = self.error(FORK, "sync", self.address, "--push")
        self.assertIn("4-5 were appended here while no peer, or not all, could tell of more", said)

    def test_is_not_synced_in_any_way(self):
        relay = self.relay_is_back()
        for arguments in ([], [self.author], ["--push"], ["--live"], ["--live", "--push"],
                          ["--newest", "1"], ["--entries-only"], ["--quote"]):
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn("its entries from seqnum 4 on would be dropped everywhere", said)
        self.error(FORK, "repair", "--from", self.address)
        relay = self.assert_nothing_was_exchanged(relay)
        # Neither while a node runs on the store, as long as it does not sync by itself.
        node = self.relay("store")
        self.error(FORK, "sync", self.address, "--push")
        self.append(b"mine 7\n", status=FORK)
        node.end()
        self.assert_nothing_was_exchanged(relay)

    def test_where_no_peer_can_be_asked_nothing_is_synced(self):
        said = self.error(NETWORK, "sync", self.address, "--push")
        self.assertIn(f"peer {self.address}: nobody listens there", said)
        live = self.live("store", self.address, "--push")
        self.wait_until_said(live, "asking again now and then")
        relay = self.relay_is_back()
        live.process.wait(60)
        self.assertEqual(live.process.returncode, FORK, live.said())
        self.assert_nothing_was_exchanged(relay)

    def test_goes_on_behind_the_other_as_the_words_say(self):
        relay = self.relay_is_back()
        said = self.error(FORK, "sync", self.address, "--push")
        self.assertEqual(len(self.play(said)), 5, said)
        self.assertEqual(self.printed("store", self.author)[3:], ["4", "mine 4", "mine 5", "mine 6"])
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])
        relay.end()
        self.assertEqual(self.append(b"8\n", "--gate", "required"), "")
        for store, head in ("relay", 7), ("store", 8):
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)
        self.out("verify", "--jsonl", "branch.jsonl")

    def take_the_other(self):
        """As the recipe says, which leaves `branch.jsonl` of this one."""
        self.error(FORK, "sync", self.address)
        self.out("export", self.author, "--jsonl", "-o", "branch.jsonl")
        self.out("forget", self.author, "--own")
        self.sync_one("store", self.address, self.author)

    def test_is_not_imported_in_place_of_what_is_here(self):
        relay = self.relay_is_back()
        self.take_the_other()
        with open(self.path("branch.jsonl"), "rb") as file:
            branch = file.read()
        payloads = self.out("cat", self.author)

        def refused():
            for name, text in (("branch.jsonl", b""), ("-", branch)):
                failure = self.json("import", "--jsonl", name, stdin=text, status=FORK)
                self.assertEqual((failure["error"], failure["log"], failure["seqnum"]),
                                 ("author_mark_fork", self.author, 4))
            self.assertEqual(self.out("cat", self.author), payloads)
            self.assertIsNone(self.json("ls")["cap"])
        refused()
        node = self.relay("store")
        refused()
        node.end()
        # What does not anchor where it lies here forks it all the same.
        lines = branch.splitlines(keepends=True)
        self.write("behind.jsonl", b"".join(lines[4:]))
        self.error(FORK, "import", "--jsonl", "behind.jsonl")
        said = self.error(FORK, "import", "--jsonl", "branch.jsonl")
        self.assertIn("the file holds another entry 4 of this log of yours than this store", said)
        self.play(said)
        self.assertEqual(self.printed("store", self.author)[3:], ["4", "mine 4", "mine 5", "mine 6"])
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])
        relay.end()
        self.assertIsNone(self.json("ls", store="relay")["cap"])

    def test_is_not_imported_in_place_of_what_the_mark_says_was_published(self):
        self.relay_is_back()
        self.take_the_other()
        self.append(b"5\n")
        shutil.rmtree(self.path("store"))
        failure = self.json("import", "--jsonl", "branch.jsonl", status=FORK)
        self.assertEqual((failure["error"], failure["seqnum"]), ("author_mark_fork", 5))
        self.assertIn("`culm sync HOST:PORT", failure["next"])
        self.assertFalse(os.path.exists(self.path("store")))

    def test_is_not_imported_while_somebody_appends(self):
        self.out("export", self.author, "--jsonl", "-o", "all.jsonl")
        with open(self.path(f"marks/{self.author}.0.mark"), "r+b") as mark:
            # The second byte, as the lock of an appender is.
            fcntl.fcntl(mark, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 1, 1, 0))
            failure = self.json("import", "--jsonl", "all.jsonl", status=LOCKED)
        self.assertEqual(failure["error"], "author_mark_locked")
        self.out("import", "--jsonl", "all.jsonl")

    def test_a_log_of_ones_own_is_imported_where_it_is_the_same(self):
        self.out("export", self.author, "--jsonl", "-o", "all.jsonl")
        for _ in range(2):
            self.out("import", "--jsonl", "all.jsonl")
        shutil.rmtree(self.path("store"))
        self.out("import", "--jsonl", "all.jsonl")
        self.assertEqual(len(self.printed("store", self.author)), 6)

    def test_a_log_of_another_author_is_forked_by_a_file_as_before(self):
        self.relay_is_back()
        self.take_the_other()
        shutil.rmtree(self.path("marks"))
        failure = self.json("import", "--jsonl", "branch.jsonl", status=FORK)
        self.assertEqual((failure["error"], failure["forks"][0]["at"]), ("fork", 4))

    def test_of_several_lines_in_an_entry_goes_on_as_it_is(self):
        mine = [b"mine 4", b"mine 5", b"mine 6", b"two\nlines\n", os.urandom(2000) + b"\n", b"", b"z"]
        for payload in mine[3:]:
            self.error(0, "append", "--key", self.key, stdin=payload)
        self.relay_is_back()
        said = self.error(FORK, "append", "--key", self.key, stdin=b"x")
        self.assertIn("each by itself, as some may hold line ends", said)
        self.play(said)
        self.assertEqual(self.payloads(self.author, range(4, 12)), [b"4"] + mine)
        # The file that is left of it says the same.
        said = self.error(FORK, "import", "--jsonl", "branch.jsonl")
        self.play(said)
        self.assertEqual(self.payloads(self.author, range(12, 19)), mine)

    def test_is_not_begun_anew_between_the_two(self):
        relay = self.relay_is_back()
        self.error(FORK, "sync", self.address, "--push")
        self.out("forget", self.author, "--own")
        relay.end()
        report = self.json("append", "--key", self.key, stdin=b"other 1", status=FORK)
        self.assertEqual((report["error"], report["seqnum"]), ("author_mark_behind", 3))

    def test_is_synced_where_peers_hold_it_as_it_is_here(self):
        self.relay_holds("store-backup")
        relay = self.relay_is_back()
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])
        relay.end()
        self.assertEqual(self.append(b"7\n", "--gate", "required"), "", "it was asked")

    def test_is_synced_where_peers_hold_nothing_of_it(self):
        self.relay_holds()
        relay = self.relay_is_back()
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])
        self.assertEqual(self.append(b"7\n"), "")
        relay.end()
        self.assertEqual(self.append(b"8\n", "--gate", "required"), "")


class LiveSync(OwnLog):
    """Begun on a store from before the branch, while no peer can be reached."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.restore()

    def test_asks_each_time_that_it_connects(self):
        live = self.live("store", self.address, "--push")
        live.wait_for(event="disconnected")
        self.append(b"mine 4\nmine 5\n")
        relay = self.relay_is_back()
        self.assertEqual(live.process.wait(60), FORK, live.said())
        self.assertIn("its entries from seqnum 4 on would be dropped everywhere", live.said())
        relay.end()
        for store, head in ("relay", 4), ("store", 5):
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)

    def test_brings_what_the_peer_holds_as_it_is_here(self):
        self.relay_holds("store-backup")
        live = self.live("store", self.address, "--push")
        live.wait_for(event="disconnected")
        self.append(b"mine 4\n")
        relay = self.relay_is_back()
        live.wait_for(event="pushed", head=4)
        live.end()
        relay.end()
        self.assertEqual(self.append(b"5\n", "--gate", "required"), "", "it was asked")


class OwnNode(OwnLog):
    """A relay on an author's restored store; the peer that the store knows cannot be reached."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.restore()

    def relay_has(self, copy):
        self.relay_holds(copy)
        return self.relay_is_back()

    def assert_heads(self, **heads):
        for store, head in heads.items():
            log = self.json("ls", self.author, store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)

    def test_exchanges_nothing_that_was_appended_unasked(self):
        self.append(b"mine 4\n")
        own = self.relay("store", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        self.json_lines("sync", own.address, self.author, "--push", store="relay", status=NETWORK)
        self.assert_heads(store=4, relay=4)
        self.wait_until_said(own, "not served before a peer was asked")
        os.chmod(self.path(f"marks/{self.author}.0.mark"), 0o640)
        relay = self.relay_is_back()
        self.wait_until_said(own, "its entries from seqnum 4 on would be dropped everywhere")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        relay.end()
        self.assert_heads(store=4, relay=4)

    def test_shows_it_once_a_peer_holds_the_log_as_it_is_here(self):
        other = self.keygen("other.key")
        self.new_log(["x"], key=other, store="other")
        own = self.relay("store", "--accept-any")
        self.sync_one("other", own.address, "--push", other[1])
        reader = self.live("reader", own.address, self.author, other[1])
        for log, head in (self.author, 3), (other[1], 1):
            reader.wait_for(event="caught_up", log=log, head=head)
        self.append(b"mine 4\n")
        # What came behind it is there.
        self.error(0, "append", "--key", other[0], "--lines", stdin=b"y\n", store="other")
        self.sync_one("other", own.address, "--push", other[1])
        reader.wait_for(event="received", log=other[1], up_to=2)
        self.assert_heads(store=4, reader=3)
        self.relay_has("store-backup")
        reader.wait_for(event="received", log=self.author, up_to=4)


class ReadOnlyMarks(OwnLog):
    """Marks that say that nobody was asked, and that cannot be written."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.restore()
        self.append(b"mine 4\n")
        self.relay_is_back()
        if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
            self.skipTest("no namespace to mount the marks in")

    def run_with_marks(self, *arguments):
        mount = "mount --bind marks marks && mount -o remount,bind,ro marks && exec \"$@\""
        return subprocess.run(["unshare", "-rm", "bash", "-c", mount, "-", CULM, *arguments],
                              cwd=self.place, env=self.environment, capture_output=True, timeout=100)

    def test_count_as_any_other_and_are_named(self):
        for verb in (["sync", self.address, "--push"], ["sync", self.address, "--live"]):
            done = self.run_with_marks(*verb)
            self.assertEqual(done.returncode, STORE, done.stderr)
            said = done.stderr.decode()
            self.assertIn(f"author marks in {self.path('marks')}: ", said)
            self.assertIn("Read-only file system", said)
        self.assertIsNone(self.json("ls")["cap"])
        self.assertEqual(self.json("mark")["seqnum"], 4)

    def test_keep_a_file_that_forks_the_log_from_being_imported(self):
        self.out("export", self.author, "--jsonl", "-o", "other.jsonl", store="relay")
        shutil.rmtree(self.path("store"))
        done = self.run_with_marks("import", "--jsonl", "other.jsonl")
        self.assertEqual(done.returncode, FORK, done.stderr)


class LongBranch(OwnLog):
    """More entries on both sides than a peer shows one by one, the first ones among them unseen."""

    def setUp(self):
        super().setUp()
        self.append(b"theirs\n" * 400)
        self.sync_one("store", self.address, "--push")
        self.node.end()
        self.restore()
        self.append(b"mine\n" * 400)
        relay = self.relay_is_back()
        self.error(FORK, "sync", self.address, "--push")
        relay.end()

    def test_is_remembered_though_its_first_entry_is_not_known(self):
        mark, = self.json_lines("mark")
        self.assertRegex(mark["store_id"], "^02000000(?!00000000)")
        other, = re.findall("a peer holds another entry ([0-9]+) than", self.text("mark"))
        self.assertGreater(int(other), mark["seqnum"] + 1)
        for arguments in (), ("--gate", "never"):
            said = self.append(b"more\n", *arguments, status=FORK)
            self.assertIn(f"a peer that was asked before holds another entry {other}", said)
        stranger = self.relay("stranger", "--accept-any")
        self.error(FORK, "sync", stranger.address, "--push")
        self.assertEqual(self.json_lines("ls", store="stranger"), [])
        self.relay_is_back()
        self.play(said)
        self.assertIn("theirs", self.printed("store", self.author))
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])

    def test_is_known_where_the_mark_is_carried_along_with_the_store(self):
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.environment["CULM_MARKS"] = self.path("marks-elsewhere")
        self.out("mark", "--import", "marks.jsonl")
        self.append(b"more\n", "--gate", "never", status=FORK)


class BegunAgain(OwnLog):
    """Of an author's log only the key file is left, and peers hold the log."""

    def setUp(self):
        super().setUp()
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
        self.assertNotIn("not sure", self.append(b"once more\n"))

    def test_is_not_synced_over_the_log_in_any_way(self):
        for arguments in [], [self.author], ["--push"], ["--live", "--push"], ["--quote"]:
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn("its entries from seqnum 1 on would be dropped everywhere", said)
        self.node.end()
        for store, head in ("relay", 4), ("store", 1):
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)

    def test_is_known_where_the_mark_is_carried_along_with_the_store(self):
        self.error(FORK, "sync", self.address)
        mark, = self.json_lines("mark")
        self.assertEqual(mark["seqnum"], 0)
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.node.end()
        self.environment["CULM_MARKS"] = self.path("marks-elsewhere")
        for raised in 1, 0:
            told = self.json("mark", "--import", "marks.jsonl")
            self.assertEqual((told["marks"], told["raised"]), (1, raised))
        mark["file"] = self.mark(self.author).replace("marks", "marks-elsewhere")
        self.assertEqual(self.json_lines("mark"), [mark])
        self.append(b"and more\n", "--gate", "never", status=FORK)

    def test_goes_on_behind_the_log_as_the_words_say(self):
        self.play(self.error(FORK, "sync", self.address))
        self.assertEqual(self.payloads(self.author, (4, 5)), [b"4", b"once more"])
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])


class NewLog(NetworkScenario):
    def test_is_warned_of_where_no_peer_that_is_known_can_be_asked(self):
        relay = self.relay("relay", "--accept-any")
        self.push_lines(1, relay, store="store")
        relay.end()
        append = ("append", "--key", self.keygen("another.key")[0], "--lines")
        said = self.error(OK, *append, stdin=b"1\n")
        self.assertIn("the log begins here; whether more of the log is published is not sure: of 1 "
                      "peer that this store has synced with none could be asked", said)
        self.assertIn("all from seqnum 1 on would be dropped everywhere", said)
        self.assertIn("no peer, or not all, could tell of more", self.error(OK, *append, stdin=b"2\n"))
        self.relay("relay", "--accept-any", listen=relay.address)
        self.assertEqual(self.error(OK, *append, "--log-id", "1", stdin=b"1\n"), "")

    def test_is_never_warned_of_where_it_is_new_everywhere(self):
        relay = self.relay("relay", "--accept-any")
        append = ("append", "--key", self.keygen()[0], "--lines")
        for text in b"1\n", b"2\n":
            self.assertNotIn("not sure", self.error(OK, *append, stdin=text))
        self.out("sync", relay.address, "--push")
        relay.end()
        for text in b"3\n", b"4\n":
            self.assertEqual(self.error(OK, *append, stdin=text), "")


class ForkThatPeersKnow(OwnLog):
    """A store from before the author forked the log, of which the relay has the evidence."""

    def setUp(self):
        super().setUp()
        self.restore()
        self.append(b"other 4\n", "--gate", "never")
        self.sync("store", self.address, "--push", status=FORK)
        self.restore()

    def test_is_told_before_anything_is_appended(self):
        for arguments in ((), ("--gate", "required")):
            said = self.append(b"lost 4\n", *arguments, status=FORK)
            self.assertIn(f"the peer at {self.address} shows that this log is forked at seqnum 4", said)
            self.assertIn(f"next: begin another log: `culm append --key {self.key} --log-id N`", said)
        failure = self.json("append", "--key", self.key, stdin=b"lost 4", status=FORK)
        self.assertEqual((failure["error"], failure["seqnum"]), ("log_capped", 4))
        node = self.relay("store")
        self.append(b"lost 4\n", status=FORK)
        node.end()
        self.assertEqual(self.json("ls")["head"], 3)
        self.append(b"4\n", "--log-id", "1")

    def test_is_told_before_a_sync_drops_what_was_appended_unasked(self):
        self.node.end()
        self.append(b"mine 4\nmine 5\n")
        self.node = self.relay_is_back()
        for arguments in [], ["--push"], ["--live"], ["--quote"]:
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn("to sync it would drop entries 4-5 here", said)
        self.assertEqual((self.json("ls")["head"], self.json("ls")["cap"]), (5, None))
        self.append(b"mine 6\n", status=FORK)
        self.play(said)
        self.assertEqual(self.printed("store", self.author + ".1"), ["mine 4", "mine 5"])
        self.sync("store", self.address, "--push")

    def test_is_told_with_what_it_drops_when_it_is_met_and_then_alone(self):
        self.append(b"other 4\n", "--gate", "never")
        shutil.copytree(self.path("store"), self.path("again"))
        said = self.error(FORK, "sync", self.address)
        self.assertIn("1 entry that is here is dropped", said)
        for arguments in [], ["--push"]:
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn("the author forked the log at 4; what lies below stays valid", said)
        for dropped in "4", None:
            synced = self.sync_one("again", self.address, status=FORK)
            self.assertEqual(synced.get("dropped"), dropped)

    def test_is_no_reason_not_to_sync_what_lies_below(self):
        self.sync("store", self.address, "--push", status=FORK)
        self.assertEqual((self.json("ls")["head"], self.json("ls")["cap"]), (3, 4))
        self.assertIn("  (forked at 4: it does not go on, another one does: `culm append --key FILE "
                      "--log-id N`)\n", self.text("mark"))


if __name__ == "__main__":
    main()
