"""Own logs that may have another branch elsewhere: mark and store do not fit, or strangers ask."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import time

from own_branch_scenario import OwnLog
from relay_harness import ENDS_WITHIN_SECONDS, NetworkScenario
from scenario import FORK, NETWORK, NOT_FOUND, OK, main


LOGS = 70


class MarkOfAnotherStore(OwnLog):
    """A log that was begun again from its key alone, before the mark of the first one came."""

    def setUp(self):
        super().setUp()
        self.write("marks.jsonl", self.out("mark", "--json"))
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
        self.append(b"once more\n")
        self.imported = self.error(OK, "mark", "--import", "marks.jsonl")

    def follow(self, said, status):
        """The first command of a next step."""
        command = said.split("next: ", 1)[1].replace("`culm forget`", "forget").split("`")[1]
        command = command.replace("HOST:PORT", self.address).replace(" LOG", f" {self.author}")
        return self.error(status, *command.split()[1:])

    def assert_heads(self):
        self.node.end()
        for store, head in ("relay", 4), ("store", 1):
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (head, None), store)

    def test_is_told_of_by_the_import_and_goes_on_as_the_words_say(self):
        self.assertIn("the last entries in this store, up to 1, were appended while no "
                      "peer, or not all, could tell of more: they may fork it", self.imported)
        refused = self.append(b"again\n", status=FORK)
        for said in self.imported, refused:
            recipe = self.follow(said, FORK)
        self.assertIn("this store holds entry 1, and the peer at", recipe)
        self.play(recipe)
        self.assertEqual(self.payloads(self.author, (4, 5)), [b"4", b"once more"])
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])

    def test_is_told_of_to_programs_with_the_next_step_apart(self):
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
        self.append(b"once more\n")
        done = self.run_culm("mark", "--json", "--import", "marks.jsonl")
        warning, = map(json.loads, done.stderr.splitlines())
        self.assertEqual((warning["type"], "next:" in warning["message"]), ("warning", False))
        self.assertIn(f"`culm sync HOST:PORT {self.author}.0` with a peer", warning["next"])

    def test_is_not_synced_over_the_log_in_any_way(self):
        for arguments in [], [self.author], ["--push"], ["--live", "--push"], ["--quote"]:
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn("its entries from seqnum 1 on would be dropped everywhere", said)
        self.assert_heads()

    def test_is_not_pushed_to_who_holds_nothing_of_it(self):
        other = self.relay("other", "--accept-any")
        said = self.error(FORK, "sync", other.address, "--push")
        self.assertIn("no peer that was asked shows it: what is here may fork the log", said)
        self.follow(said, FORK)
        other.end()
        self.assertEqual(self.json_lines("ls", store="other"), [])

    def test_is_told_of_where_nothing_forks_only_by_what_it_brings(self):
        shutil.rmtree(self.path("store"))
        self.assertEqual(self.error(OK, "mark", "--import", "marks.jsonl"), "")
        shutil.copytree(self.path("store-backup"), self.path("store"))
        self.assertEqual(self.error(OK, "mark", "--import", "marks.jsonl"), "")
        self.sync_one("store", self.address)
        self.append(b"5\n")


class OlderStore(OwnLog):
    """A store that lacks what the mark names."""

    def test_takes_it_from_a_peer_that_holds_a_part(self):
        self.append(b"more\n" * 36)
        self.sync_one("store", self.address, "--push")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.sync_one("part", self.address, self.author, "--newest", "1")
        self.environment["CULM_MARKS"] = self.path("marks")
        shutil.rmtree(self.path("store"))
        shutil.copytree(self.path("store-backup"), self.path("store"))
        part = self.relay("part")
        self.run_culm("sync", part.address, status=NOT_FOUND)
        self.assertEqual(self.json("ls")["head"], 40)
        self.sync_one("store", self.address)
        self.append(b"41\n")


class OlderMarks(OwnLog):
    """Marks from before the last entries of the store, which peers hold otherwise."""

    def test_have_the_peer_show_its_own_before_anything_moves(self):
        self.restore()
        self.append(b"mine 4\n", "--gate", "never")
        shutil.rmtree(self.path("marks"))
        shutil.copytree(self.path("marks-backup"), self.path("marks"))
        for arguments in [], ["--push"], ["--live"]:
            said = self.error(FORK, "sync", self.address, *arguments)
            self.assertIn(f"this store holds entry 4, and the peer at {self.address} holds another "
                          "entry 4", said)
        self.node.end()
        for store in "relay", "store":
            log = self.json("ls", store=store)
            self.assertEqual((log["head"], log["cap"]), (4, None), store)


class Stranger(OwnLog):
    """What was appended unasked meets a peer that never held the log."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.restore()
        self.append(b"mine 4\n")
        self.other = self.relay("other", "--accept-any")

    def test_gets_nothing_while_a_known_peer_cannot_be_asked(self):
        for arguments in ["--push"], [self.author], ["--live", "--deadline", "3", "--push"]:
            said = self.error(NETWORK, "sync", self.other.address, *arguments)
            self.assertIn(f"peer {self.address} does not say either", said)
            self.assertIn(f"`culm peers --forget {self.address}`", said)
        self.assertIn("the last entries were appended while no peer, or", self.append(b"mine 5\n"))
        self.assertIn("no peer, or not all, could tell of more", self.text("mark"))
        relay = self.relay_is_back()
        said = self.error(FORK, "sync", self.other.address, "--push")
        self.assertIn(f"the peer at {self.address} holds another entry 4", said)
        self.other.end()
        relay.end()
        self.assertEqual(self.json_lines("ls", store="other"), [])
        self.assertEqual((self.json("ls")["head"], self.json("ls")["cap"]), (5, None))

    def test_gets_it_where_a_known_peer_holds_the_log_as_it_is_here(self):
        self.relay_holds("store-backup")
        self.relay_is_back()
        self.assertTrue(self.sync_one("store", self.other.address, "--push")["pushed"])

    def test_is_no_answer_for_a_node_either_where_it_is_known(self):
        self.restore()
        key, author = self.keygen("other.key")
        self.out("append", "--key", key, stdin=b"x")
        self.sync_one("store", self.other.address, author, "--push")
        self.append(b"mine 4\n")
        own = self.relay("store", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        self.wait_until_said(own, "not served before a peer was asked")


class StoreBesideTheAuthors(NetworkScenario):
    """Of the same user, and of a log that began in the author's."""

    def setUp(self):
        super().setUp()
        key, self.author = self.keygen()
        self.out("append", "--key", key, "--lines", stdin=b"1\n2\n3\n")
        node = self.relay("store")
        self.address = node.address
        self.sync_one("reader", self.address, self.author)
        node.end()

    def test_is_told_what_became_of_the_peer(self):
        for arguments in [], ["--live", "--deadline", "2"]:
            said = self.error(NETWORK, "sync", self.address, *arguments, store="reader")
            self.assertIn("nobody listens there (connection refused)", said)
            self.assertNotIn("asked", said)
        failed = self.json("sync", self.address, store="reader", status=NETWORK)
        self.assertEqual(failed["error"], "network")


class SilentPeer(OwnLog):
    """The only one does not answer, and what was appended meanwhile may fork the log."""

    def setUp(self):
        super().setUp()
        self.restore()
        self.node.process.send_signal(signal.SIGSTOP)
        self.append(b"mine 4\n", "--wait", "1")

    def test_is_said_to_be_so_when_the_time_of_the_sync_is_over(self):
        step = "  next: check the address, and that `culm relay` runs behind it\n"
        for option, words in (("--timeout", f"peer {self.address}: nothing has moved for 2.00 s"),
                              ("--deadline", "not done within 2.00 s")):
            for push in [], ["--push"]:
                said = self.error(NETWORK, "sync", self.address, option, "2", *push)
                self.assertEqual(said, f"culm: sync: {words}: the peer has not answered\n{step}")


class ReplacedPeer(OwnLog):
    """Another relay took the place of the one that the store has synced with."""

    def setUp(self):
        super().setUp()
        self.node.end()
        shutil.copytree(self.path("store"), self.path("store-of-4"))
        shutil.rmtree(self.path("relay"))

    def begin(self, store=None):
        if store:
            shutil.copytree(self.path(store), self.path("relay"))
            os.remove(self.path("relay/peer.key"))
        self.restore()
        return self.relay_is_back()

    def paste(self, said, status=OK):
        """The commands of a next step, but for the one that names no peer."""
        for command in said.split("next: ", 1)[1].split("`")[1::2]:
            if "HOST:PORT" not in command:
                self.out(*command.split()[1:], status=status)

    def required(self, text=b"mine 4\n", status=FORK):
        return self.append(text, "--gate", "required", status=status)

    def test_does_not_say_for_it_that_it_held_no_more(self):
        for held in None, "store-backup":
            relay = self.begin(held)
            said = [self.required(), self.append(b"mine 4\n"), self.append(b"mine 5\n"),
                    self.required()]
            for one in said:
                self.assertIn("of 1 peer that this store has synced with none could be asked: "
                              f"another one answers now at {self.address}", one)
            for arguments in ["--push"], [self.author], ["--live", "--push"], ["--quote"]:
                refused = self.error(FORK, "sync", self.address, *arguments)
                self.assertIn(f"another peer answers now at {self.address}, in place of the one "
                              "that this store has synced with", refused)
            failed = self.json("sync", self.address, "--push", status=FORK)
            self.assertEqual(failed["error"], "author_head_unknown")
            relay.end()
            heads = [log["head"] for log in self.json_lines("ls", store="relay")]
            self.assertEqual(heads, [3] if held else [], "nothing was pushed")
            relay = self.relay_is_back()
            self.paste(refused)
            self.assertEqual(self.required(b"6\n", OK), "")
            relay.end()
            shutil.rmtree(self.path("relay"))

    def test_is_no_answer_for_a_node_either(self):
        self.begin()
        own = self.relay("store", "--accept-any")
        self.assertIn("another one answers now", self.append(b"mine 4\n"))
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        self.wait_until_said(own, f"another peer answers now at {self.address}")

    def test_counts_for_what_it_shows(self):
        self.begin("store-of-4")
        for said in self.required(), self.append(b"mine 4\n", status=FORK):
            self.assertIn("a peer holds the log up to seqnum 4, which this store lacks", said)
        self.sync_one("store", self.address)
        # Of what was published behind that only the other one knows.
        self.assertIn("another one answers now", self.append(b"5\n"))
        self.assertTrue(self.sync_one("store", self.address, "--push")["pushed"])

    def test_is_asked_where_it_shows_all_of_it(self):
        self.begin("store-backup").end()
        self.append(b"4\n")
        shutil.rmtree(self.path("relay"))
        shutil.copytree(self.path("store"), self.path("relay"))
        os.remove(self.path("relay/peer.key"))
        self.relay_is_back()
        self.sync_one("store", self.address)
        self.assertEqual(self.required(b"5\n", OK), "")

    def test_is_listed_beside_it_once_something_moved_until_both_are_forgotten(self):
        first, = self.json_lines("peers")[0]["keys"]
        self.begin()
        self.out("sync", self.address, self.author, status=NETWORK)
        self.assertEqual(self.json_lines("peers")[0]["keys"], [first], "it brought nothing")
        second = self.json_lines("sync", self.address, "--push")[-1]["peer"]
        self.assertEqual(self.text("peers"), f"{self.address} {first} {second}\n")
        self.assertIn("of 2 peers that this store has synced with only 1 could be asked: another "
                      f"one answers now at {self.address}", self.required())
        self.out("compact")
        self.out("backup", self.path("copy"))
        for store in "store", "copy":
            self.assertEqual(self.json_lines("peers", store=store)[0]["keys"], [first, second])
        self.paste(self.required())
        self.assertEqual(self.json_lines("peers")[0]["keys"], [second])
        self.assertEqual(self.required(status=OK), "")


class NeverSynced(NetworkScenario):
    """Store and marks restored together, before this store has met a peer."""

    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.append(b"1\n")
        for name in ("store", "marks"):
            os.rename(self.path(name), self.path(f"{name}-moved"))
            shutil.copytree(self.path(f"{name}-moved"), self.path(name))
        self.append(b"2\n")

    def append(self, text):
        return self.error(OK, "append", "--key", self.key, "--lines", stdin=text)

    def test_says_so_at_each_append(self):
        for text in b"3\n", b"4\n":
            said = self.append(text)
            self.assertIn("this store has not synced with a peer that could be asked", said)
            self.assertIn("the last entries were appended while no "
                          "peer, or not all, could tell of more;", said)
        self.assertIn("(no peer, or not all, could tell of more, see --gate", self.text("mark"))

    def test_waits_no_longer_for_a_locked_mark_once_it_is_to_stop(self):
        shutil.copytree(self.path("store"), self.path("relay"))
        (self.place / "relay/peer.key").unlink(missing_ok=True)
        marks = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        relay = self.relay("relay", "--accept-any")
        self.environment["CULM_MARKS"] = marks
        with open(self.mark(self.author), "r+b") as mark:
            fcntl.lockf(mark, fcntl.LOCK_EX, 1, 1)  # somebody appends, and was stopped
            live = self.live("store", relay.address, "--push")
            deadline = time.monotonic() + 30
            with contextlib.suppress(BlockingIOError):
                while time.monotonic() < deadline:  # until it waits in the line for the lock
                    fcntl.lockf(mark, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
                    fcntl.lockf(mark, fcntl.LOCK_UN, 1, 0)
            self.assertLess(time.monotonic(), deadline, live.said())
            live.process.send_signal(signal.SIGTERM)
            live.process.wait(timeout=ENDS_WITHIN_SECONDS)

    def test_is_told_to_forget_only_a_peer_that_it_knows(self):
        gone = self.relay("gone")
        gone.end()
        self.assertNotIn("--forget", self.error(NETWORK, "sync", gone.address, self.author))

    def test_is_not_served_until_it_was_synced_as_the_words_say(self):
        own = self.relay("store", "--accept-any")
        marks = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        self.wait_until_said(own, "this store knows no peer to ask")
        step = f"`culm --store {own.store} sync HOST:PORT {self.author}.0 --push`"
        self.wait_until_said(own, step)
        self.environment["CULM_MARKS"] = marks
        other = self.relay("other", "--accept-any")
        self.out("sync", other.address, f"{self.author}.0", "--push")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.assertEqual(self.sync_one("reader", own.address, self.author)["head"], 2)


    def test_is_said_not_to_be_served_and_is_after_a_sync_that_finds_no_more_of_it(self):
        own = self.relay("store", "--accept-any")
        self.assertIn("; until that sync a node on this store serves it to nobody",
                      self.append(b"3\n"))
        self.assertTrue(self.json("ls")["withheld"])
        for verb in "ls", "verify":
            self.assertIn("; a node serves it only once a known peer was asked", self.text(verb))
        marks = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        said = self.error(NETWORK, "sync", own.address, self.author, store="reader")
        self.assertIn("`culm ls` there says whether a sync has to come first", said)
        self.environment["CULM_MARKS"] = marks
        stranger = self.relay("stranger", "--accept-any")
        command = re.search(r"`culm (sync [^`]*)`", self.append(b"4\n"))[1]
        self.error(NETWORK, *command.replace("HOST:PORT", stranger.address).split())
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.assertEqual(self.sync_one("reader", own.address, self.author)["head"], 4)

    def test_is_not_taken_by_its_own_node_before_and_the_words_cover_that(self):
        own = self.relay("store", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        said = self.error(NETWORK, "sync", own.address, self.author, "--push", store="store-moved")
        self.assertIn("was appended to there, `culm ls` there says what to do first", said)


class NewLog(NetworkScenario):
    def test_needs_no_more_than_a_peer_that_holds_nothing_of_it(self):
        relay = self.relay("relay", "--accept-any")
        self.push_lines(1, relay, store="store")
        append = ("append", "--key", self.keygen("another.key")[0], "--lines")
        for log_id, gate in (1, "ask"), (2, "required"):
            said = self.error(OK, *append, "--log-id", log_id, "--gate", gate, stdin=b"1\n")
            self.assertEqual(said, "")
        self.assertIn("(began here; until a peer shows that it holds it each sync asks", self.text("mark"))

    def test_that_a_peer_denied_is_asked_for_before_it_is_pushed(self):
        holder, other = (self.relay(name, "--accept-any") for name in ("holder", "other"))
        key, author = self.push_lines(2, holder, store="elsewhere")
        self.environment["CULM_MARKS"] = self.path("marks-here")
        self.push_lines(1, other, name="another.key", store="store")
        self.out("append", "--key", key, "--gate", "required", stdin=b"other")
        self.error(FORK, "sync", holder.address, "--push", author)
        self.assertIsNone(self.json("ls", f"{author}.0", store="holder")["cap"])


class MutePeer(NetworkScenario):
    """One of the peers of a first sync takes the connection and says nothing."""

    def setUp(self):
        super().setUp()
        self.calls = []
        self.mute = self.server(self.say_nothing).address
        self.key, self.author = self.keygen()
        self.node = self.relay("relay", "--accept-any")

    def say_nothing(self, connection):
        self.calls.append(connection)
        while connection.recv(65536):
            pass

    def begin(self, text, log_id=0, **options):
        self.error(OK, "append", "--key", self.key, "--log-id", log_id, "--lines", stdin=text,
                   **options)

    def test_does_not_hide_what_another_shows_of_a_later_log(self):
        self.environment["CULM_MARKS"] = self.path("marks-of-another-machine")
        self.begin(b"other\n", 1, store="other")
        self.out("sync", self.node.address, "--push", store="other")
        self.environment["CULM_MARKS"] = self.path("marks")
        for log_id in 0, 1:
            self.begin(b"mine\n", log_id)
        said = self.error(FORK, "sync", self.node.address, "--also", self.mute, "--push")
        self.assertIn(f"the peer at {self.node.address} holds another entry 1", said)
        self.node.end()
        log = self.json("ls", self.author, store="relay")
        self.assertEqual((log["head"], log["cap"]), (1, None))

    def test_does_not_speak_for_one_that_answers(self):
        self.out("append", "--key", self.keygen("other.key")[0], stdin=b"x")
        self.out("sync", self.node.address, "--push")
        self.begin(b"mine\n")
        self.run_culm("sync", self.node.address, "--also", self.mute, "--push", "--timeout", "10",
                      status=NETWORK)
        self.assertEqual(self.json("ls", self.author, store="relay")["head"], 1)

    def test_is_not_called_again_for_the_sync_and_is_named(self):
        self.begin(b"mine\n")
        failed = self.json("sync", self.node.address, "--also", self.mute, "--push",
                           status=NETWORK)
        self.assertEqual((failed["error"], failed["about"]), ("peer_silent", f"peer {self.mute}"))
        self.assertEqual(len(self.calls), 1)
        self.assertEqual(self.json("ls", self.author, store="relay")["head"], 1)

    def test_is_not_who_refuses_the_connection(self):
        self.begin(b"mine\n")
        gone = self.relay("gone")
        gone.end()
        said = self.error(NETWORK, "sync", self.node.address, "--also", gone.address, "--push")
        self.assertIn("connection refused", said)
        self.assertNotIn("silent for too long", said)
        self.assertEqual(self.json("ls", self.author, store="relay")["head"], 1)

    def test_is_waited_for_once_for_all_logs(self):
        for log_id in range(LOGS):
            self.begin(b"mine\n", log_id)
        self.run_culm("sync", self.node.address, "--also", self.mute, "--push", "--timeout", "10",
                      status=NETWORK)
        self.assertNotEqual(self.json_lines("ls", self.author, store="relay"), [])


class MarkThatNobodyWasAskedOf(OwnLog):
    """Imported where the store holds another branch."""

    def setUp(self):
        super().setUp()
        for name in ("store", "marks"):
            shutil.copytree(self.path(name), self.path(f"{name}-of-4"))
        self.append(b"5\n6\n7\n")
        mark = self.out("mark", "--json").decode()
        self.store_id = re.search(r'"store_id":"([0-9a-f]*)"', mark.replace(" ", ""))[1]
        self.mark = mark
        self.append(b"more\n" * 33)
        self.sync_one("store", self.address, "--push")
        self.branch(b"mine 4\nmine 5\n")

    def branch(self, lines):
        os.makedirs(self.path("marks"), exist_ok=True)
        self.restore()
        self.append(lines, "--gate", "never")
        shutil.rmtree(self.path("marks"))

    def take(self, store_id):
        self.write("marks.jsonl", self.mark.replace(self.store_id, store_id))
        return self.error(OK, "mark", "--import", "marks.jsonl")

    def other_holds_what_is_common(self):
        self.node.end()
        other = self.relay("other", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.sync_one("store-backup", other.address, "--push")
        self.environment["CULM_MARKS"] = self.path("marks")
        return other

    def test_is_not_pushed_over_whatever_store_the_mark_names(self):
        other = self.other_holds_what_is_common()
        for first in "00", "01", "aa":
            shutil.rmtree(self.path("marks"), ignore_errors=True)
            self.take(first + "00" * 15)
            said = self.error(FORK, "sync", other.address, "--push")
            self.assertIn("the log is published up to seqnum 7", said)
        other.end()
        self.assertEqual(self.json("ls", store="other")["head"], 3)

    def test_that_names_another_entry_fits_no_peer_that_shows_only_what_lies_above(self):
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.sync_one("part", self.address, self.author, "--newest", "1")
        part = self.relay("part")
        self.environment["CULM_MARKS"] = self.path("marks")
        for name in ("store", "marks"):
            shutil.rmtree(self.path(f"{name}-backup"))
            os.rename(self.path(f"{name}-of-4"), self.path(f"{name}-backup"))
        self.branch(b"mine 5\nmine 6\nmine 7\n")
        self.take("aa" + "00" * 15)
        said = self.error(FORK, "sync", part.address, self.author)
        self.assertIn("holds others, up to seqnum 40", said)

    def test_did_not_begin_here(self):
        self.take("01" + "00" * 15)
        self.assertIn('"store_id":"' + "00" * 16,
                      self.out("mark", "--json").decode().replace(" ", ""))

    def test_that_names_another_entry_is_told_of_and_not_served_even_where_no_peer_is_known(self):
        self.branch(b"mine 4\nmine 5\nmine 6\nmine 7\n")
        self.out("peers", "--forget", self.address)
        for first in "aa", "01":
            shutil.rmtree(self.path("marks"), ignore_errors=True)
            self.assertIn("this store holds another entry 7: that forks it",
                          self.take(first + "00" * 15))
            own = self.relay("store", "--accept-any")
            self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
            self.json("sync", own.address, self.author, store="reader", status=NETWORK)
            self.environment["CULM_MARKS"] = self.path("marks")
            own.end()

    def test_is_not_freed_by_a_sync_that_only_pulls(self):
        self.take("aa" + "00" * 15)
        self.node.end()
        self.out("append", "--key", self.keygen("other.key")[0], stdin=b"x")
        own = self.relay("store", "--accept-any")
        stranger = self.relay("stranger", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)
        self.environment["CULM_MARKS"] = self.path("marks")
        self.run_culm("sync", stranger.address, self.author, status=NETWORK)
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.json("sync", own.address, self.author, store="reader", status=NETWORK)


class ManyNewLogs(NetworkScenario):
    """More than one session has room for."""

    def test_are_asked_for_together_before_the_first_push(self):
        key, author = self.keygen()
        for log_id in range(LOGS):
            self.out("append", "--key", key, "--log-id", log_id, stdin=b"x")
        relay = self.relay("relay", "--accept-any")
        self.out("sync", relay.address, "--push")
        relay.end()
        self.assertLess(int(re.search(r"([0-9]+) connections", relay.said())[1]), 8)
        self.assertEqual(len(self.json_lines("ls", author, store="relay")), LOGS)


if __name__ == "__main__":
    main()
