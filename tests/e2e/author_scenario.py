"""E9: an author never forks their own log by way of an old store or a lost mark."""

import json
import os
import resource
import shutil
import signal
import time

from played_peer import claim_a_head
from relay_harness import NetworkScenario
from scenario import FORK, NETWORK, NOT_FOUND, STORE, USAGE, Scenario, main


class AuthorMark(Scenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.append("1\n2\n3\n")

    def append(self, lines, status=0, *arguments):
        return self.run_culm("append", "--key", self.key, "--lines", *arguments,
                             stdin=lines.encode(), status=status)

    def test_a_restored_store_is_not_appended_to(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n5\n")
        shutil.rmtree(self.path("store"))
        os.rename(self.path("backup"), self.path("store"))
        message = self.append("other 4\n", FORK).stderr.decode()
        self.assertIn("entries that were appended, and may be published, are missing", message)
        self.assertIn("From a backup older than the last append, or after a forget, the log does not "
                      "go on by itself: take the rest from a newer backup, or from a peer that has "
                      f"it (`culm sync HOST:PORT {self.author}.0`); where nobody has it, begin "
                      f"another log: `culm append --key {self.key} --log-id N`", message)
        self.assertEqual(self.json("ls")["head"], 3)
        self.append("other 1\n", 0, "--log-id", "1")

    def test_a_lost_store_is_not_started_anew(self):
        shutil.rmtree(self.path("store"))
        for arguments in [], ["--adopt"], ["--gate", "never"]:
            said = self.append("other 1\n", FORK, *arguments).stderr.decode()
            self.assertIn("appended to up to seqnum 3, which may be published", said)
            self.assertIn(f"begin another one: `culm append --key {self.key} --log-id N`", said)
        self.append("other 1\n", 0, "--log-id", "1")

    def test_a_store_with_another_entry_is_not_appended_to(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        shutil.copy(self.mark(self.author), self.path("old.mark"))
        self.append("4\n")
        shutil.copytree(self.path("backup"), self.path("other"))
        shutil.copy(self.mark(self.author), self.path("new.mark"))
        shutil.copy(self.path("old.mark"), self.mark(self.author))
        self.run_culm("append", "--key", self.key, stdin=b"other 4", store="other")
        shutil.copy(self.path("new.mark"), self.mark(self.author))
        report = self.json("append", "--key", self.key, stdin=b"5", store="other", status=FORK)
        self.assertEqual(report["error"], "author_mark_fork")

    def test_a_missing_mark_stops_appending_until_it_is_adopted(self):
        os.remove(self.mark(self.author))
        message = self.append("4\n", FORK).stderr.decode()
        self.assertIn(f"{self.author}.0.mark is missing", message)
        self.assertRegex(message, "next: .*CULM_MARKS.*as in cron.*--adopt")
        self.append("4\n", 0, "--adopt")
        self.append("5\n")
        self.assertEqual(self.json("ls")["head"], 5)

    def test_a_damaged_mark_stops_appending(self):
        with open(self.mark(self.author), "r+b") as mark:
            mark.write(b"\xff" * os.path.getsize(mark.name))
        self.assertIn("is damaged", self.append("4\n", FORK).stderr.decode())

    def test_a_mark_that_is_damaged_is_made_again_of_what_was_carried_along(self):
        self.write("marks.jsonl", self.out("mark", "--json"))
        [mark] = (self.place / "marks").glob("*.mark")
        os.truncate(mark, 0)
        self.assertIn("culm mark", self.append("4\n", FORK).stderr.decode())
        self.out("mark", "--import", "marks.jsonl")
        self.append("4\n")

    def test_a_mark_of_which_the_half_that_is_left_tells_of_all_is_said_alike_by_all_verbs(self):
        for start in 10, 4106:
            self.append("more\n")
            head = self.json("ls")["head"]
            with open(self.mark(self.author), "r+b") as mark:
                mark.seek(start)
                byte = mark.read(1)[0]
                mark.seek(start)
                mark.write(bytes([byte ^ 1]))
            said = self.run_culm("mark", status=FORK)
            if f"  {head}  ".encode() not in said.stdout:
                self.assertIn(b"`culm append --key KEY`", said.stderr)
                self.append("more\n")
                continue
            damaged = f"one half of author mark {self.mark(self.author)} is damaged: more than "
            damaged += f"seqnum {head} may have been published, and this store holds no more"
            for text in (said.stderr.decode(), self.append("x\n", FORK).stderr.decode(),
                         self.error(FORK, "verify")):
                self.assertIn(damaged, text)
                self.assertIn("append once with --adopt", text)
            self.assertIn("; one half of the author mark is damaged", self.text("ls"))
            self.append("more\n", 0, "--adopt")
            self.assertNotIn("damaged", self.text("mark"))

    def test_a_mark_of_which_a_half_is_damaged_says_so_and_is_made_whole(self):
        self.append("4\n")
        self.write("marks.jsonl", self.out("mark", "--json"))
        mark = self.mark(self.author)
        with open(mark, "rb") as file:
            whole = file.read()
        for start in (0, 4096):
            with self.subTest(start=start):
                with open(mark, "wb") as file:
                    file.write(whole[:start] + bytes(152) + whole[start + 152:])
                done = self.run_culm("mark", status=FORK)
                self.assertIn(b"(one half is damaged: more may have been published)", done.stdout)
                self.assertIn(b"`culm mark --import FILE`", done.stderr)
                [line] = map(json.loads, self.run_culm("mark", "--json", status=FORK)
                             .stdout.splitlines())
                self.assertEqual((line["half_damaged"], line["store_id"]), (True, "00" * 16))
                self.out("mark", "--import", "marks.jsonl")
                self.assertEqual(self.json("mark")["seqnum"], 4)
                self.append("more\n")
        with open(mark, "wb") as file:
            file.write(bytes(len(whole)))
        self.new_log("x", key=self.keygen("other.key"), store="other")
        done = self.run_culm("mark", status=FORK)
        self.assertIn(b"(damaged)", done.stdout)
        self.assertEqual(len(done.stdout.splitlines()), 2)

    def test_a_mark_that_is_cut_short_never_forks_the_log(self):
        mark = self.mark(self.author)
        with open(mark, "rb") as file:
            whole = file.read()
        for size in (0, 100, 152, 4096, 4200, len(whole) - 1):
            for content in (whole[:size], whole[:size] + bytes(len(whole) - size)):
                with open(mark, "wb") as file:
                    file.write(content)
                report = self.json("append", "--key", self.key, stdin=b"other 1", store="typo",
                                   status=FORK)
                self.assertIn(report["error"], ("author_mark_format", "author_mark_behind"))
        with open(mark, "wb") as file:
            file.write(whole)
        self.append("4\n")

    def test_a_key_finds_its_mark_by_whatever_path(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n")
        os.link(self.key, self.path("link.key"))
        shutil.copy(self.key, self.path("copy.key"))
        os.mkdir(self.path("elsewhere"))
        shutil.move(self.key, self.path("elsewhere/key"))
        for key in ("link.key", "copy.key", "elsewhere/key"):
            report = self.json("append", "--key", self.path(key), stdin=b"other 4",
                               store="backup", status=FORK)
            self.assertEqual(report["error"], "author_mark_behind")
        self.out("append", "--key", self.path("link.key"), stdin=b"5")
        self.assertEqual(os.listdir(self.path("marks")), [f"{self.author}.0.mark"])

    def test_marks_lie_where_the_environment_says(self):
        home = {"HOME": self.path("home"), "XDG_DATA_HOME": self.path("data"), "CULM_MARKS": ""}
        for name, where in (("XDG_DATA_HOME", "data/culm/marks"),
                            ("HOME", "home/.local/share/culm/marks")):
            key, author = self.keygen(f"{name}.key")
            self.environment.update(home)
            self.out("append", "--key", key, stdin=b"x")
            self.assertEqual(os.listdir(self.path(where)), [f"{author}.0.mark"])
            self.assertEqual(os.stat(self.path(where)).st_mode & 0o777, 0o700)
            home["XDG_DATA_HOME"] = "data"  # relative: passed over

    def test_a_file_where_the_marks_have_to_lie_is_named_with_the_next_step(self):
        with open(self.path("file"), "wb"):
            self.environment["CULM_MARKS"] = self.path("file")
        message = self.error(NOT_FOUND, "append", "--key", self.key, stdin=b"x")
        self.assertIn("next: check the name: a directory on the way to the file is none", message)

    def test_a_mark_beside_the_key_is_taken_over_once(self):
        old = self.key + ".0.mark"
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n")
        shutil.move(self.mark(self.author), old)
        report = self.json("append", "--key", self.key, stdin=b"other", store="backup", status=FORK)
        self.assertEqual(report["error"], "author_mark_behind")
        self.assertFalse(os.path.exists(old))
        self.append("5\n")
        # Put back it is older than what is known, and so changes nothing.
        shutil.copy(self.mark(self.author), old)
        self.append("6\n")
        self.assertFalse(os.path.exists(old))
        shutil.copytree(self.path("store"), self.path("backup2"))
        # A version that kept it there went on.
        shutil.copy(self.mark(self.author), self.path("now"))
        self.append("7\n")
        shutil.move(self.mark(self.author), old)
        shutil.move(self.path("now"), self.mark(self.author))
        self.json("append", "--key", self.key, stdin=b"other", store="backup2", status=FORK)
        self.append("8\n")

    def test_a_damaged_mark_beside_the_key_stops_appending(self):
        shutil.move(self.mark(self.author), self.key + ".0.mark")
        with open(self.key + ".0.mark", "r+b") as mark:
            mark.write(b"\xff" * os.path.getsize(mark.name))
        for _ in range(2):
            report = self.json("append", "--key", self.key, stdin=b"1", store="new", status=FORK)
            self.assertEqual(report["error"], "author_mark_format")
        self.append("4\n", 0, "--adopt")

    def test_marks_are_carried_to_another_machine(self):
        self.out("append", "--key", self.key, "--log-id", 7, stdin=b"x")
        self.write("marks.jsonl", self.out("mark", "--json"))
        with self.other_machine():
            said = self.text("mark", "--import", "marks.jsonl")
            self.assertIn("2 marks", said)
            # The other log began elsewhere.
            carried = (self.place / "marks.jsonl").read_bytes().replace(b'"01000', b'"00000')
            carried = carried.replace(b"/marks/", b"/other-marks/")
            self.assertEqual(self.out("mark", "--json"), carried)
            report = self.json("append", "--key", self.key, stdin=b"1", store="new", status=FORK)
            self.assertEqual(report["error"], "author_mark_behind")
            self.append("4\n")  # the store came along
            self.out("mark", "--import", "marks.jsonl")
            marks = self.json_lines("mark")
            self.assertEqual([(mark["log"], mark["seqnum"]) for mark in marks],
                             [(self.author, 4), (f"{self.author}.7", 1)])
        self.text("name", self.author, "me")
        for name in self.author, self.author + ".0", self.author[:10], "me":
            self.assertIn("  3  ", self.text("mark", name))

    def test_marks_of_two_branches_do_not_replace_each_other(self):
        self.copy_marks()
        shutil.copytree(self.path("store"), self.path("clone"))
        self.append("4\n")
        with self.other_machine():
            self.run_culm("append", "--key", self.key, stdin=b"other 4", store="clone")
            self.write("marks.jsonl", self.out("mark", "--json"))
        self.error(FORK, "mark", "--import", "marks.jsonl")
        self.error(4, "mark", "--import", self.write("bad", '{"log":"x"}\n'))
        self.append("5\n")

    def test_nothing_is_appended_to_a_part_of_the_own_log(self):
        self.append("".join(f"{n}\n" for n in range(60)))
        self.out("export", self.author, "--jsonl", "--range", "30-32", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        self.run_culm("append", "--key", self.key, stdin=b"x", store="other", status=FORK)


class AppendGate(NetworkScenario):
    """Mark and store that came from another time: peers may know of more."""

    def setUp(self):
        super().setUp()
        self.node = self.relay("relay", "--accept-any")
        self.key, self.author = self.push_lines(3, self.node, store="store")
        self.back_up()

    def back_up(self):
        for name in ("store", "marks"):
            shutil.copytree(self.path(name), self.path(f"{name}-backup"))

    def back_up_anew(self):
        for name in ("store-backup", "marks-backup"):
            shutil.rmtree(self.path(name))
        self.back_up()

    def restore(self):
        """Both of them together, as from one old backup: the files are others, what is in them
        agrees."""
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
            shutil.copytree(self.path(f"{name}-backup"), self.path(name))

    def append(self, text, *arguments, status=0):
        return self.error(status, "append", "--key", self.key, *arguments, stdin=text)

    def known(self):
        return [line.split()[0] for line in self.text("peers").splitlines()]

    def test_what_was_restored_together_is_not_appended_to_when_a_peer_holds_more(self):
        self.assertEqual(self.append(b"4"), "")
        self.sync_one("store", self.node.address, "--push")
        for arguments in ((), ("--gate", "ask"), ("--gate", "required")):
            self.restore()
            said = self.append(b"other 4", *arguments, status=FORK)
            self.assertIn("a peer holds the log up to seqnum 4, which this store lacks", said)
            self.assertIn("culm sync", said)
        # Through a node likewise, which keeps nothing of it.
        node = self.relay("store", "--accept-any")
        self.append(b"other 4", status=FORK)
        node.end()
        self.assertEqual(self.json("ls")["head"], 3)
        self.restore()
        report = self.json("append", "--key", self.key, stdin=b"other 4", status=FORK)
        self.assertEqual((report["error"], report["seqnum"]), ("author_mark_behind", 4))
        self.sync_one("store", self.node.address)
        self.assertEqual(self.append(b"5"), "")
        self.assertIsNone(self.json("ls")["cap"])

    def test_what_was_restored_into_the_files_that_are_there_is_known_by_its_times(self):
        """As `cp` and `rsync --inplace` restore: the files are the same ones, with older bytes."""
        self.append(b"4")
        self.sync_one("store", self.node.address, "--push")
        for copy in shutil.copy2, shutil.copyfile:
            for name in ("store", "marks"):
                shutil.copytree(self.path(f"{name}-backup"), self.path(name), dirs_exist_ok=True,
                                copy_function=copy)
            said = self.append(b"other 4", "--gate", "required", status=FORK)
            self.assertIn("a peer holds the log up to seqnum 4, which this store lacks", said)
        self.sync_one("store", self.node.address)
        self.assertEqual(self.append(b"5", "--gate", "required"), "")
        self.node.end()
        self.assertEqual(self.append(b"6", "--gate", "required"), "")

    def test_a_reader_beside_the_author_takes_no_mark_over(self):
        log = self.new_log(["one"], key=self.keygen("other.key"), store="own")
        node = self.relay("own")
        for _ in range(2):
            self.sync_one("reader", node.address, log)
        node.end()
        mark, = self.json_lines("mark", log)
        self.assertEqual(mark["store_id"], "01" + "00" * 15)
        self.assertEqual(self.error(0, "append", "--key", "other.key", stdin=b"two", store="own"), "")

    def test_a_peer_that_holds_no_more_lets_it_go_on_and_is_asked_once(self):
        self.restore()
        self.assertEqual(self.append(b"4", "--gate", "required"), "")
        self.node.end()
        self.assertEqual(self.append(b"5", "--gate", "required"), "")

    def test_a_peer_that_a_node_has_synced_with_is_known(self):
        key, _ = self.keygen("third.key")
        self.out("append", "--key", key, stdin=b"1", store="third")
        node = self.relay("third", "--accept-any")
        self.sync_one("third", self.node.address, "--push")
        node.end()
        shutil.copytree(self.path("third"), self.path("copy"))
        self.out("append", "--key", key, "--gate", "required", stdin=b"2", store="copy")

    def test_without_a_peer_it_goes_on_and_says_so_unless_one_is_required(self):
        self.node.end()
        self.restore()
        report = self.json("append", "--key", self.key, "--gate", "required", stdin=b"4",
                           status=FORK)
        self.assertEqual(report["error"], "author_head_unknown")
        said = self.append(b"4")
        self.assertIn("none could be asked", said)
        self.assertIn("all from seqnum 4 on would be dropped everywhere", said)
        self.assertIn("--gate required refuses instead", said)
        # That is remembered, and asked again until a peer has answered.
        for text in b"5", b"6":
            said = self.append(text)
            self.assertIn("the last entries were appended while no "
                          "peer, or not all, could tell of more", said)
            self.assertIn("those entries and all behind them would be dropped everywhere", said)
        self.append(b"7", "--gate", "required", status=FORK)
        self.assertEqual(self.append(b"7", "--gate", "never"), "")
        self.append(b"8", "--gate", "required", status=FORK)
        self.assertIn("no peer, or not all, could tell of more", self.text("mark"))
        self.node = self.relay("relay", "--accept-any", listen=self.node.address)
        self.assertEqual(self.append(b"8"), "")
        self.node.end()
        self.assertEqual(self.append(b"9", "--gate", "required"), "")
        self.assertEqual(self.json("ls")["head"], 9)

    def test_a_peer_that_holds_nothing_of_the_log_is_no_answer_for_one_that_is_silent(self):
        other = self.relay("other relay", "--accept-any")
        key = self.keygen("other.key")
        self.new_log("x", key=key, store="store")
        self.run_culm("sync", other.address, key[1], "--push")
        self.back_up_anew()
        self.node.process.send_signal(signal.SIGSTOP)
        self.restore()
        for gate, status in ("required", FORK), ("ask", 0):
            self.assertIn("of 2 peers that this store has synced with none",
                          self.append(b"4", "--gate", gate, status=status))
        self.node.process.send_signal(signal.SIGCONT)
        other.end()
        self.restore()
        self.assertIn("only 1 could be asked", self.append(b"4"))

    def test_wait_bounds_the_question_too(self):
        """Of a peer that takes the connection and says nothing, by itself for 5 s."""
        self.node.process.send_signal(signal.SIGSTOP)
        self.restore()
        began = time.monotonic()
        self.assertIn("none could be asked", self.append(b"4", "--wait", "0"))
        self.assertLess(time.monotonic() - began, 4.5)
        self.assertIn("peers that --gate asks", self.text("help", "append"))

    def test_a_peer_that_is_gone_for_good_is_forgotten_as_the_words_say(self):
        gone = self.relay("gone", "--accept-any")
        self.sync_one("store", gone.address, "--push")
        self.back_up_anew()
        gone.end()
        addresses = [self.node.address, gone.address]
        for is_beside_a_node in False, True:
            self.restore()
            self.assertEqual(self.known(), addresses)
            said = self.append(b"4")
            self.assertIn("of 2 peers that this store has synced with only 1 could be asked", said)
            self.assertIn(f"`culm peers --forget {gone.address}`", said)
            self.assertIn(f"`culm sync {gone.address} {self.author[:12]}.0`", said)
            self.restore()
            node = self.relay("store") if is_beside_a_node else None
            self.assertIn(gone.address, self.text("peers", "--forget", gone.address))
            self.assertEqual(self.known(), addresses[:1])
            self.assertIn("`culm peers`", self.error(NOT_FOUND, "peers", "--forget", gone.address))
            self.assertEqual(self.append(b"4"), "")
            if node:
                node.end()
        self.out("peers", "--forget", addresses[0])
        self.assertIn("not synced", self.text("peers"))
        self.sync_one("store", addresses[0])
        self.assertEqual(self.known(), addresses[:1])

    def test_a_refusal_names_the_peers_that_are_silent_whether_one_or_several(self):
        gone = self.relay("gone", "--accept-any")
        self.sync_one("store", gone.address, "--push")
        self.back_up_anew()
        gone.end()
        both = [self.node.address, gone.address]

        def assert_refused(silent, of):
            self.restore()
            said = self.append(b"4", "--gate", "required", status=FORK)
            self.assertIn(f": of {of} could be asked\n", said)
            self.assertIn(f"next: append again when {', '.join(silent)} answer", said)
            self.assertIn(f"`culm peers --forget {silent[0]}`", said)
        assert_refused(both[1:], "2 peers that this store has synced with only 1")
        self.node.end()
        assert_refused(both, "2 peers that this store has synced with none")
        self.out("peers", "--forget", gone.address)
        self.back_up_anew()
        of = "1 peer that this store has synced with none"
        assert_refused(both[:1], of)
        key, _ = self.keygen("begins.key")
        said = self.error(FORK, "append", "--key", key, "--gate", "required", stdin=b"1")
        self.assertIn(f"whether it began elsewhere: of {of} could be asked\n", said)
        self.assertIn(f"append again when {both[0]} answers, or, ", said)

    def test_the_warning_names_all_peers_that_are_silent(self):
        relays = [self.relay(f"relay {n}", "--accept-any") for n in range(3)]
        for relay in relays:
            self.sync_one("store", relay.address, "--push")
        self.back_up_anew()
        for relay in relays[1:]:
            relay.end()
        self.restore()
        said = self.append(b"4")
        self.assertIn("of 4 peers that this store has synced with only 2 could be asked", said)
        self.assertIn(f"`culm peers --forget {relays[1].address}` asks it no more; the same goes for "
                      f"{relays[2].address}; --gate required refuses instead", said)

    def test_a_network_that_is_not_the_peers_is_not_told_to_be_named_again(self):
        self.restore()
        said = self.append(b"4", "--network", "other")
        self.assertIn("--network NETWORK` says whether that peer holds more, and append asks it with "
                      "the same option (where that peer is of none, both without --network);", said)
        self.restore()
        said = self.append(b"4", "--network", "other", "--gate", "required", status=FORK)
        self.assertIn("next: append with the --network of that peer, or with none, asks "
                      f"{self.node.address} as one of its network; else append again when", said)
        self.assertEqual(self.append(b"4"), "")

    def test_the_warning_says_what_was_not_asked_what_that_risks_and_what_to_do(self):
        self.node.end()
        self.restore()
        lines = self.append(b"4").splitlines()
        self.assertRegex(lines[0], "of 1 peer that this store has synced with none could be asked$")
        self.assertRegex(lines[1], "^  risk: where it is, to append now forks the log")
        self.assertRegex(lines[2], "^  next: .*--gate required refuses instead$")
        self.restore()
        done = self.run_culm("append", "--key", self.key, "--json", stdin=b"4")
        warning, = map(json.loads, done.stderr.splitlines())
        self.assertEqual(warning["next"], lines[2].split("next: ")[1])

    def test_of_a_log_that_has_ended_nobody_is_asked(self):
        self.append(b"4", "--end", "-")
        for name in ("store", "marks"):
            shutil.rmtree(self.path(f"{name}-backup"))
            shutil.copytree(self.path(name), self.path(f"{name}-backup"))
        self.node.end()
        self.restore()
        for gate in "ask", "required", "never":
            said = self.append(b"6", "--gate", gate, status=FORK)
            self.assertIn("log has ended", said)
            self.assertEqual((said.count("next: "), "forks the log" in said), (1, False), said)

    def test_who_passes_and_appends_nothing_does_not_open_it_for_the_next(self):
        self.append(b"4")
        self.sync_one("store", self.node.address, "--push")
        address = self.node.address
        self.node.end()
        self.restore()
        marks = self.out("mark", "--json")
        self.out("append", "--key", self.key, "--lines", "/dev/null")
        self.write("big", bytes(40 << 20))
        self.out("append", "--key", self.key, self.path("big"), status=STORE,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20,) * 2))
        self.assertEqual(self.out("mark", "--json"), marks)
        self.node = self.relay("relay", "--accept-any", listen=address)
        self.assertIn("a peer holds the log up to seqnum 4", self.append(b"other 4", status=FORK))

    def test_nobody_is_asked_where_that_is_said(self):
        self.append(b"4")
        self.sync_one("store", self.node.address, "--push")
        self.restore()
        self.assertEqual(self.append(b"other 4", "--gate", "never"), "")
        self.append(b"5", "--gate", "maybe", status=USAGE)

    def test_a_new_author_is_told_nothing(self):
        self.node.end()
        for store in ("store", "new"):
            key, _ = self.keygen(f"{store}.key")
            said = self.error(0, "append", "--key", key, stdin=b"1", store=store)
            self.assertNotIn("author mark", said)

    def test_a_compacted_store_is_the_one_that_it_was(self):
        self.node.end()
        for n in range(4, 7):
            self.out("compact")
            self.assertEqual(self.append(b"%d" % n, "--gate", "required"), "")
        self.out("compact")
        self.out("compact")
        relay = self.relay("store")
        self.out("compact")
        self.assertEqual(self.append(b"7", "--gate", "required"), "")
        relay.end()
        # A copy of it is not, with all its files or as a backup.
        shutil.copytree(self.path("store"), self.path("copy"))
        self.out("backup", "backup")
        for copy in ("copy", "backup"):
            said = self.error(FORK, "append", "--key", self.key, "--gate", "required", stdin=b"8",
                              store=copy)
            self.assertIn("no known peer", said)

    def test_the_first_entry_of_a_log_is_refused_where_a_peer_is_required_and_leaves_no_trace(self):
        self.node.end()
        key, _ = self.keygen("new.key")
        for store in ("new", "store"):
            said = self.error(FORK, "append", "--key", key, "--gate", "required", stdin=b"1",
                              store=store)
            self.assertIn("whether it began elsewhere", said)
            self.assertIn("append its first entry with --gate ask", said)
        self.assertFalse(os.path.exists(self.path("new")))
        self.out("append", "--key", key, "--gate", "ask", stdin=b"1", store="new")
        self.error(FORK, "append", "--key", key, "--gate", "required", stdin=b"2", store="new")
        self.out("sync", self.relay("relay", "--accept-any").address, "--push", store="new")
        self.out("append", "--key", key, "--gate", "required", stdin=b"2", store="new")

    def test_what_a_peer_says_and_does_not_show_ends_no_log(self):
        head = 2**64 - 1
        liar = self.server(claim_a_head(head))
        self.run_culm("sync", liar.address, self.author, "--timeout", "1", status=NETWORK)
        self.back_up_anew()
        # The other peer holds the log, and no more of it.
        self.restore()
        said = self.append(b"4", "--gate", "required")
        self.assertIn(f"{liar.address} says that it holds the log up to seqnum {head}", said)
        self.assertIn("to append now forks the log", said)
        # A node asks likewise.
        self.restore()
        node = self.relay("store", "--accept-any")
        self.assertIn(f"{liar.address} says", self.append(b"4", "--gate", "required"))
        node.end()
        # What another one shows counts, whatever is said beside it.
        self.sync_one("store", self.node.address, "--push")
        self.restore()
        said = self.append(b"other 4", status=FORK)
        self.assertIn("a peer holds the log up to seqnum 4, which this store lacks", said)
        # Nobody else can be asked.
        self.node.end()
        said = self.append(b"4", "--gate", "required", status=FORK)
        self.assertIn(f"{liar.address} says", said)
        self.assertIn("--gate ask", said)
        self.assertIn(f"{liar.address} says", self.append(b"4"))
        self.assertIn(f"{liar.address} says", self.append(b"5"))
        self.assertEqual(self.json("ls")["head"], 5)

    def test_peers_that_hold_nothing_take_nobodys_place(self):
        for _ in range(16):
            self.run_culm("sync", self.server(claim_a_head(0)).address, self.author)
        self.back_up_anew()
        self.restore()
        self.assertEqual(self.append(b"4", "--gate", "required"), "")

    def test_another_store_is_another_epoch(self):
        self.append(b"4")
        self.sync_one("store", self.node.address, "--push")
        self.sync_one("other", self.node.address, self.author, "--range", "1-4")
        self.assertEqual(self.error(0, "append", "--key", self.key, "--gate", "required", stdin=b"5",
                                    store="other"), "")


if __name__ == "__main__":
    main()
