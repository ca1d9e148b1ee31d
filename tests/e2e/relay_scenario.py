"""A relay from its start to its end: keys, the accept list, requests of other processes, strangers."""

import datetime
import json
import os
import re
import shutil
import signal
import socket
import stat
import time

from relay_harness import NetworkScenario
from scenario import (FORK, HOST, INTERRUPTED, LOCKED, NETWORK, NOT_FOUND, STORE, USAGE,
                      VERIFICATION, main)


class Relay(NetworkScenario):
    def test_its_peer_key_is_made_once_and_readable_by_nobody_else(self):
        first = self.relay()
        self.assertRegex(first.peer, "^[0-9a-f]{64}$")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("relay/peer.key")).st_mode), 0o600)
        first.end()
        self.assertEqual(self.relay().peer, first.peer)

    def test_a_bad_peer_key_is_refused(self):
        self.relay().end()
        key = self.path("relay/peer.key")
        os.chmod(key, 0o640)
        message = self.error(VERIFICATION, "relay", "--listen", "127.0.0.1:0", store="relay")
        self.assertIn("chmod 600", message)
        os.chmod(key, 0o600)
        for content in ("", "00", "0" * 63, "0" * 65 + "\n", "x" * 64 + "\n"):
            self.write("relay/peer.key", content)
            self.error(VERIFICATION, "relay", "--listen", "127.0.0.1:0", store="relay")

    def test_it_says_where_it_listens(self):
        process = self.start("relay", "--listen", "127.0.0.1:0")
        line = process.stdout.readline().decode()
        self.assertRegex(line, r"^relay [0-9a-f]{64} listens at 127\.0\.0\.1:\d+\n$")

    def test_bad_addresses_are_refused(self):
        relay = self.relay()
        in_use = self.error(NETWORK, "relay", "--listen", relay.address, store="other")
        self.assertIn(relay.address, in_use)
        for address in ("", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "a b:1"):
            self.error(USAGE, "relay", "--listen", address, store="other")
        for accept in ("", "12", "x" * 64, "0" * 64 + "."):
            self.error(USAGE, "relay", "--accept", accept, store="other")

    def test_one_node_to_a_store(self):
        relay = self.relay()
        for verb in (["relay", "--listen", "127.0.0.1:0"],
                     ["sync", "--live", relay.address, "0" * 64]):
            report = self.json(*verb, store="relay", status=LOCKED)
            self.assertEqual(report["pid"], relay.process.pid)

    def test_it_takes_only_what_is_on_its_list(self):
        key, author = self.keygen()
        for log_id in (0, 1):
            self.new_log(["a"], "--log-id", log_id, key=(key, author), store="author")
        for accept, taken in (([], []), (["--accept", f"{author}.1"], [f"{author}.1"]),
                              (["--accept", f"{author}.0"], [author]),
                              (["--accept", author], [author, f"{author}.1"]),
                              (["--accept-any"], [author, f"{author}.1"])):
            relay = self.relay("-".join(accept)[:100] or "none", *accept)
            for log in (author, f"{author}.1"):
                status = 0 if log in taken else NETWORK
                name = log if "." in log else f"{log}.0"
                lines = self.json_lines("sync", relay.address, name, "--push", store="author",
                                        status=status)
                self.assertEqual(lines[0]["pushed"], log in taken, (accept, lines))
            held = self.json_lines("ls", store=os.path.basename(relay.store))
            self.assertEqual([line["log"] for line in held], taken)
            relay.end()

    def test_signals_end_it_soon_and_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            relay = self.relay("relay", "--accept-any")
            self.push_lines(20, relay, f"{number}.key")
            reader = self.live(f"reader{number}", relay.address, "0" * 64)
            reader.wait_for(event="connected")
            relay.end(number, status=INTERRUPTED if number == signal.SIGINT else 0)
            self.assertFalse(os.path.exists(self.path("relay/node.sock")))
            self.assert_sound("relay")
            reader.end(status=NETWORK)  # of a log that nobody serves

    def test_a_hangup_does_not_end_it_and_is_said(self):
        relay = self.relay("relay", "--accept-any")
        for _ in range(3):
            relay.process.send_signal(signal.SIGHUP)
            self.wait_until_said(relay, "SIGHUP: goes on")
        self.push_lines(3, relay)
        relay.end()

    def test_a_live_sync_ends_at_a_hangup_unless_it_is_started_to_ignore_it(self):
        relay = self.relay()
        live = self.live("one", relay.address, "0" * 64)
        live.wait_for(event="connected")
        live.end(signal.SIGHUP, NETWORK)
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        try:
            live = self.live("two", relay.address, "0" * 64)
        finally:
            signal.signal(signal.SIGHUP, before)
        live.wait_for(event="connected")
        live.process.send_signal(signal.SIGHUP)
        relay.end()
        live.wait_for(event="disconnected")
        live.end(status=NETWORK)


class Journal(NetworkScenario):
    LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (error|warning|info|debug) +(.+)$")

    def said_by(self, node):
        """(level, text) of each line; their dates are of now, in UTC."""
        found = [self.LINE.match(line) for line in node.said().splitlines()]
        self.assertTrue(all(found), node.said())
        for line in found:
            date = datetime.datetime.strptime(line[1], "%Y-%m-%dT%H:%M:%S.%fZ")
            age = datetime.datetime.utcnow() - date
            self.assertLess(abs(age.total_seconds()), 600, line[0])
        return [(line[2], line[3]) for line in found]

    def test_start_and_stop_are_said_and_connections_are_counted(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(7, relay)
        for n in range(12):  # more than the log has lines for, and within a minute
            self.sync_one(f"reader{n % 3}", relay.address, author)
        relay.end()
        made, first, stopping, summary, stopped = self.said_by(relay)
        self.assertEqual(made, ("info", f"made store {relay.store}"))
        self.assertEqual(first[0], "info")
        self.assertIn(f"at {relay.address} (pid {relay.process.pid})", first[1])
        self.assertIn(relay.store, first[1])
        self.assertIn("counted each minute, and told at once with --log-level debug", first[1])
        self.assertEqual(stopping, ("info", "SIGTERM: stops"))
        self.assertRegex(summary[1], r"^in [0-9.]+ s: 14 connections, 1 offer taken, 7 entries in, "
                                     r"21 entries out, .* in, .* out; 0 sessions now$")
        self.assertRegex(stopped[1], "^stopped after ")

    def test_a_summary_names_the_logs_that_were_declined(self):
        relay = self.relay("relay", "--log-json")
        _, author = self.keygen()
        self.new_log(["x"], key=("me.key", author))
        for _ in range(12):  # more than the log has lines for
            self.error(NETWORK, "sync", relay.address, "--push")
        relay.end()
        lines = [json.loads(line) for line in relay.said().splitlines()]
        declined = [line for line in lines if line["type"] == "summary"]
        self.assertEqual(declined[0]["declined"], [author])
        self.assertIn(f"12 offers declined ({author})", declined[0]["message"])

    def test_a_relay_that_is_another_peer_than_before_says_so(self):
        first = self.relay("relay", "--accept-any")
        first.end()
        self.assertIn("peer.key is not in it", self.text("backup", "copy", store="relay"))
        again = self.relay("copy", "--accept-any", "--log-json")
        again.end()
        self.assertNotEqual(first.peer, again.peer)
        made = json.loads(again.said().splitlines()[1])
        self.assertEqual((made["type"], made["file"]), ("peer_key_made", self.path("copy/peer.key")))
        shutil.copy(self.path("relay/peer.key"), self.path("copy/peer.key"))
        restored = self.relay("copy", "--accept-any")
        restored.end()
        self.assertEqual(restored.peer, first.peer)

    def test_a_summary_can_be_asked_for_and_is_left_out_where_nothing_happened(self):
        relay = self.relay("relay", "--accept-any", "--log-json")
        self.push_lines(7, relay)
        types = []
        for _ in range(2):
            relay.process.send_signal(signal.SIGHUP)
            self.wait_until_said(relay, '"type":"hangup"')
        relay.end()
        lines = [json.loads(line) for line in relay.said().splitlines()]
        types = [line["type"] for line in lines]
        self.assertEqual(types, ["store_made", "started", "hangup", "summary", "hangup",
                                 "stopping", "stopped"])
        for line in lines:
            self.assertLessEqual({"time", "level", "type", "message"}, line.keys())
        summary = lines[3]
        self.assertEqual([summary[key] for key in ("connections", "refused", "displaced", "evicted",
                                                   "came_to_nothing", "offers_taken",
                                                   "entries_received", "entries_sent")],
                         [2, 0, 0, 0, 0, 1, 7, 0])  # the first asked what the relay holds
        self.assertGreater(summary["bytes_received"], 7 * 100)

    def test_single_connections_are_said_at_level_debug(self):
        relay = self.relay("relay", "--accept-any", "--log-level", "debug")
        _, author = self.push_lines(7, relay)
        relay.end()
        said = [text for level, text in self.said_by(relay) if level == "debug"]
        self.assertTrue(any("connected from 127.0.0.1:" in text for text in said), said)
        self.assertTrue(any(f"offers log {author[:12]}: taken" in text for text in said), said)
        self.assertTrue(any("disconnected: done" in text for text in said), said)
        self.assertTrue(any("7 entries received, up to 7" in text for text in said), said)

    def test_a_level_leaves_out_what_matters_less(self):
        relay = self.relay("relay", "--log-level", "warning")
        relay.end()
        self.assertEqual(relay.said(), "")
        self.error(USAGE, "relay", "--log-level", "loud", store="relay")


class TakenAway(NetworkScenario):
    def test_nothing_is_confirmed_by_a_relay_whose_store_is_gone(self):
        relay = self.relay("relay", "--accept-any")
        author = self.new_log("abc", store="author")
        shutil.rmtree(relay.store)
        said = self.run_culm("sync", relay.address, author, "--push", store="author",
                             status=NETWORK)
        self.assertNotIn(b"confirms", said.stdout + said.stderr)
        self.wait_until_said(relay, "there is no store")

    def test_of_a_store_that_was_moved_while_its_relay_runs_that_is_said(self):
        relay = self.relay()
        key, author = self.keygen()
        self.new_log(["one"], key=(key, author), store="relay")
        os.rename(self.path("relay"), self.path("elsewhere"))
        pid = relay.process.pid
        for arguments in (["append", "--key", key], ["select", author, "--all"],
                          ["delete", author, "--payloads", "--range", "1"],
                          ["forget", author, "--own"]):
            failure = self.json(*arguments, store="elsewhere", stdin=b"two", status=LOCKED)
            self.assertEqual((failure["error"], failure["pid"]), ("store_locked", pid), arguments)
            said = self.error(LOCKED, *arguments, store="elsewhere", stdin=b"two")
            self.assertIn(f"the store was moved while a process runs on it (pid {pid}), which looks "
                          "for it where it was and writes nothing\n  next: end that process (`kill "
                          f"{pid}`) and start it again on the store where it is now", said)
            self.assertNotIn("no store", said)
        relay.end(status=STORE)
        relay = self.relay("elsewhere")
        self.out("append", "--key", key, stdin=b"two", store="elsewhere")
        self.assertEqual(self.out("cat", author, store="elsewhere"), b"onetwo")
        relay.end()

    def test_a_store_in_the_place_of_one_that_was_moved_is_left_alone_by_the_relay_of_that(self):
        relay = self.relay("relay", "--accept-any")
        key, author = self.keygen()
        self.new_log(["one"], key=(key, author), store="author")
        self.sync_one("author", relay.address, "--push")
        os.rename(self.path("relay"), self.path("elsewhere"))
        other = self.new_log(["x"], key=self.keygen("other.key"), store="relay")
        second = self.relay("relay")
        self.out("append", "--key", key, stdin=b"two", store="author")
        said = self.run_culm("sync", relay.address, "--push", store="author", status=NETWORK)
        self.assertNotIn(b"confirms", said.stdout + said.stderr)
        self.wait_until_said(relay, "another store is in the place of the one that this process "
                                    "runs on, which writes to neither; next: end this process")
        # What it runs on it still serves.
        self.sync_one("reader", relay.address, author)
        self.assertEqual(self.out("cat", author, store="reader"), b"one")
        said = self.error(LOCKED, "compact", store="elsewhere")
        self.assertIn(f"the store was moved while a process runs on it (pid {relay.process.pid})",
                      said)
        relay.end(status=STORE)
        self.assertEqual(os.listdir(self.path("elsewhere")).count("node.sock"), 0)
        self.out("append", "--key", "other.key", stdin=b"y", store="relay")  # by its own relay
        self.assertEqual(self.out("cat", other, store="relay"), b"xy")
        second.end()
        self.assertEqual([log["log"] for log in self.json_lines("ls", store="relay")], [other])

    def test_where_there_is_no_store_nothing_is_said_of_one_that_was_moved(self):
        self.assertIn("there is no store", self.error(NOT_FOUND, "ls", store="nowhere"))


class Requests(NetworkScenario):
    def ask(self, store, text):
        here = os.getcwd()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            os.chdir(self.path(store))  # a socket's name is short
            connection.connect("node.sock")
            os.chdir(here)
            connection.sendall(text.encode())
            with connection.makefile("rb") as stream:
                return json.loads(stream.readline())

    def test_others_write_through_the_node(self):
        relay = self.relay()
        key, author = self.keygen()
        for n in range(3):
            self.new_log(self.lines(1500, 1 + 1500 * n), key=(key, author), store="relay")
        self.assertEqual(self.printed("relay", author), self.lines(4500))
        self.out("delete", author, "--payloads", "--range", "1-2000", store="relay")
        self.assertEqual(self.json("ls", store="relay")["payloads"], 2500)
        answer = self.ask("relay", json.dumps({"verb": "change"}) + "\n" + json.dumps(
            {"log": author, "ranges": "1-9", "newest": 5, "payloads": False}) + "\n\n")
        self.assertEqual(answer, {"ok": True, "changed": 1})
        self.assertEqual(self.json("ls", store="relay")["interest_newest"], 5)
        self.assert_sound("relay")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("relay/node.sock")).st_mode), 0o600)
        relay.end()

    def test_a_sync_is_done_by_the_node_that_runs_on_the_store(self):
        source = self.relay("source", "--accept-any")
        _, author = self.push_lines(300, source)
        relay = self.relay("relay", "--accept-any")
        reader = self.live("reader", relay.address, author)
        reader.wait_for(event="connected")
        part = self.sync_one("relay", source.address, author, "--newest", 10)
        self.assertEqual((part["entries"], part["state"], part["head"]), (10, "complete", 300))
        reader.wait_for(event="received", up_to=300)  # and its peers learn of it at once
        said = self.error(USAGE, "sync", source.address, "--network", "other", store="relay")
        self.assertRegex(said, "next: run it again without .*--network")
        quoted = self.json("sync", source.address, author, "--range", "1-", "--quote", store="relay")
        self.assertEqual(quoted["whole"]["entries"], 300)
        text = self.text("sync", source.address, author, "--range", "1-", store="relay")
        self.assertIn("all the peer holds", text)
        self.assertEqual(self.printed("relay", author), self.lines(300))
        key = self.keygen("other.key")
        self.new_log(self.lines(5), key=key, store="relay")
        pushed = self.sync_one("relay", source.address, key[1], "--push")
        self.assertTrue(pushed["pushed"])
        self.assertEqual(self.json("ls", key[1], store="source")["entries"], 5)
        # A log that is new here, with --push; and the source has more to offer meanwhile.
        self.new_log(self.lines(3), key=self.keygen("third.key"), store="third")
        third = self.json("ls", store="third")["log"]
        self.sync_one("third", source.address, "--push")
        self.assertEqual(self.sync_one("relay", source.address, third, "--push")["entries"], 3)
        self.assert_sound("relay", "source", "reader")
        reader.end()
        relay.end()

    def test_a_sync_by_the_node_fails_as_any_other(self):
        relay = self.relay("relay", "--accept-any")
        other = self.relay("other")
        self.push_lines(3, relay)
        message = self.error(NETWORK, "sync", other.address, "f" * 64, store="relay")
        self.assertIn("does not serve this log", message)
        self.assertIn("--accept", self.error(NETWORK, "sync", other.address, "--push", store="relay"))
        other.kill()
        self.assertIn("connection refused", self.error(NETWORK, "sync", other.address, store="relay"))
        self.error(USAGE, "sync", other.address, "--range", "5-3", store="relay")
        self.error(USAGE, "sync", other.address, "--network", "garden", store="relay")
        self.error(LOCKED, "sync", other.address, "--live", store="relay")
        relay.end()

    def test_a_node_that_ends_ends_its_syncs(self):
        relay = self.relay("relay", "--accept-any")
        self.push_lines(3, relay)
        with socket.create_server((HOST, 0)) as silent:  # takes a connection, says nothing
            address = f"{HOST}:{silent.getsockname()[1]}"
            sync = self.start("--store", self.path("relay"), "sync", address)
            connection, _ = silent.accept()
            with connection:
                relay.end()
                _, said = sync.communicate(timeout=30)
        self.assertEqual(sync.returncode, NETWORK, said)

    def test_a_live_sync_pushes_no_logs_but_its_own(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay)
        live = self.live("author", relay.address, author)
        live.wait_for(event="caught_up")
        self.new_log(self.lines(2), key=self.keygen("other.key"), store="author")
        message = self.error(LOCKED, "sync", relay.address, "--push", store="author")
        self.assertIn("serves its own logs alone", message)
        live.end()

    def test_status_names_peers_and_logs(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(7, relay)
        reader = self.live("reader", relay.address, author)
        reader.wait_for(event="caught_up")
        status = self.ask("relay", '{"verb":"status"}\n\n')
        self.assertEqual((status["ok"], status["pid"]), (True, relay.process.pid))
        self.assertEqual(status["logs"], {author: 7})
        self.assertEqual([s["entries_sent"] for s in status["sessions"]], [7])

    def test_nonsense_is_answered_with_an_error(self):
        self.relay()
        for text in ("\n\n", "x\n\n", "[]\n\n", '{"verb":"?"}\n\n', '{"verb":"ingest"}\n\n',
                     '{"verb":"change"}\n{"log":"00","delete":"1"}\n\n'):
            self.assertFalse(self.ask("relay", text)["ok"], text)

    def test_an_append_never_forks_the_own_log(self):
        """The author signs, looking at a store that another process writes to in the meantime."""
        self.relay()
        key, author = self.keygen()
        self.new_log(["one", "two"], key=(key, author), store="relay")
        with self.other_machine():
            self.new_log(["one", "other"], key=(key, author), store="elsewhere")
        lines = self.text("export", author, "--jsonl", store="elsewhere").splitlines()
        head = json.dumps({"verb": "append", "log": author})
        answer = self.ask("relay", "\n".join([head, lines[1], "", ""]))
        self.assertEqual((answer["ok"], answer["error"], answer["seqnum"]),
                         (False, "author_mark_fork", 2))
        self.assertIsNone(self.json("ls", store="relay")["cap"])
        self.assertEqual(self.printed("relay", author), ["one", "two"])
        # The same entry brought by somebody else is evidence.
        self.write("other.jsonl", "\n".join(lines) + "\n")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.error(FORK, "import", "--jsonl", "other.jsonl", store="relay")
        self.assertEqual(self.json("ls", store="relay")["cap"], 2)

    def test_nobody_is_shown_an_entry_before_its_mark_has_moved(self):
        """An appender dies between the commit, which the node does, and its mark."""
        relay = self.relay("relay", "--accept-any")
        key, author = self.keygen()
        self.new_log(["one"], key=(key, author), store="relay")
        self.copy_marks()
        shutil.copytree(self.path("relay"), self.path("clone"),
                        ignore=shutil.ignore_patterns("node.sock"))
        reader = self.live("reader", relay.address, author)
        reader.wait_for(event="caught_up")
        with self.other_machine():
            self.new_log(["two"], key=(key, author), store="clone")
        line = self.text("export", author, "--jsonl", store="clone").splitlines()[-1]
        head = json.dumps({"verb": "append", "log": author})
        self.assertTrue(self.ask("relay", f"{head}\n{line}\n\n")["ok"])
        self.assertEqual(self.json("ls", store="relay")["head"], 2)
        self.assertEqual(self.ask("relay", '{"verb":"status"}\n\n')["logs"], {author: 1})
        self.assertEqual(self.sync_one("late", relay.address, author)["head"], 1)
        self.assertEqual(self.json("ls", store="reader")["head"], 1)
        # The next append finds it in the store, moves the mark up to it, and goes on behind it.
        self.new_log(["three"], key=(key, author), store="relay")
        while self.json("ls", store="reader")["head"] < 3:
            reader.wait_for(event="received")
        self.assertEqual(self.printed("reader", author), ["one", "two", "three"])
        reader.end()

    def test_the_socket_of_a_dead_node_is_replaced(self):
        relay = self.relay()
        relay.kill()
        self.assertTrue(os.path.exists(self.path("relay/node.sock")))
        self.relay()
        self.new_log(["one"], store="relay")


class Strangers(NetworkScenario):
    OPENINGS = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
                bytes.fromhex("16030100c8010000c40303") + bytes(200), b"\0" * 64, b"\xff" * 5000, b"")

    def test_they_are_sent_away_and_others_are_served(self):
        relay = self.relay("relay", "--accept-any")
        host, port = relay.address.split(":")
        strangers = []
        for opening in self.OPENINGS:
            stranger = socket.create_connection((host, int(port)), timeout=15)
            stranger.sendall(opening)
            strangers.append(stranger)
        self.push_lines(10, relay)
        start = time.monotonic()
        for stranger in strangers:
            with stranger:
                try:
                    while stranger.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        self.assertLess(time.monotonic() - start, 14)
        self.assertNotIn("came to nothing", relay.said())
        relay.end()
        self.assertIn(f"{len(strangers)} came to nothing", relay.said())  # in the summary alone

    def test_who_only_connects_does_not_shut_out_others_behind_the_address(self):
        relay = self.relay("relay", "--accept-any", "--handshakes-per-address", 4)
        host, port = relay.address.split(":")
        strangers = [socket.create_connection((host, int(port)), timeout=15) for _ in range(64)]
        self.push_lines(10, relay)
        for stranger in strangers:
            stranger.close()
        relay.end()
        self.assertIn("61 displaced in the handshake", relay.said())

    def test_who_finds_no_room_hears_that_the_relay_is_busy(self):
        relay = self.relay("relay", "--accept-any", "--sessions", 1)
        _, author = self.push_lines(3, relay)
        self.live("holder", relay.address, author).wait_for(event="caught_up")
        error = self.error(NETWORK, "sync", relay.address, author, store="reader")
        self.assertIn("is full", error)
        self.assertIn("--sessions and --sessions-per-address", error)
        relay.end()
        self.assertIn("1 refused as busy", relay.said())

    def test_bad_numbers_of_sessions_are_refused(self):
        for number in (0, -1, "many", 2 ** 40):
            self.error(USAGE, "relay", f"--sessions={number}", store="relay")

    def test_an_ended_reader_of_the_output_does_not_end_the_relay(self):
        relay = self.relay("relay", "--accept-any")
        relay.process.stdout.close()
        self.push_lines(3, relay)
        relay.process.send_signal(signal.SIGTERM)
        self.assertEqual(relay.process.wait(5), 0)


if __name__ == "__main__":
    main()
