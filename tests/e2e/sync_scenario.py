"""Fetching, pushing and following over TCP: what moves, what it costs, and how it fails."""

import os
import re
import shutil
import socket
import threading

from relay_harness import NetworkScenario
from scenario import FORK, HOST, NETWORK, NOT_FOUND, USAGE, main


class Fetching(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.hub = self.relay("relay", "--accept-any")
        self.address = self.hub.address

    def test_a_whole_log_comes_and_comes_only_once(self):
        _, author = self.push_lines(3000, self.hub)
        first = self.sync_one("reader", self.address, author)
        self.assertEqual((first["entries"], first["certificate_entries"], first["head"],
                          first["state"], first["missing"]), (3000, 0, 3000, "complete", ""))
        self.assertEqual(self.printed("reader", author), self.lines(3000))
        size = sum(map(len, self.lines(3000)))
        self.assertEqual(first["payload_bytes"], size)
        self.assertEqual(first["whole"]["payload_bytes"], size)
        logs, whole = self.sync("reader", self.address)
        self.assertEqual((logs[0]["entries"], logs[0]["payload_bytes"]), (0, 0))
        self.assertEqual(logs[0]["whole"]["entries"], 3000)
        self.assertLess(whole["bytes_received"], 2000)
        self.assertEqual(whole["peer"], self.hub.peer)
        self.assert_sound("reader", "relay")

    def test_a_part_comes_with_what_proves_it(self):
        _, author = self.push_lines(3000, self.hub)
        quoted = self.json("sync", self.address, author, "--range", "1000-1100", "--newest", 100,
                           "--quote", store="reader")
        self.assertFalse(os.path.exists(self.path("reader")))
        part = self.sync_one("reader", self.address, author, "--range", "1000-1100",
                             "--newest", 100)
        self.assertEqual(part["entries"], 201)
        self.assertLess(part["certificate_entries"], 60)
        for key in ("entries", "certificate_entries", "payload_bytes"):
            self.assertEqual(part[key], quoted["quote"][key])
        self.assertEqual(part["whole"], quoted["whole"])
        self.assertEqual(part["whole"]["entries"], 3000)
        lines = self.lines(3000)
        self.assertEqual(self.printed("reader", author, "--range", "1000-1100,2901-"),
                         lines[999:1100] + lines[2900:])
        self.assert_sound("reader")
        held = self.json("ls", store="reader")
        self.assertEqual((held["interest"], held["interest_newest"]), ("1000-1100", 100))
        # What is kept grows, and what is kept is what is asked for.
        more = self.sync_one("reader", self.address, author, "--range", "1101-1110")
        self.assertEqual((more["entries"] + more["certificate_entries"]) <= 12, True, more)
        self.assertEqual(self.sync_one("reader", self.address)["entries"], 0)
        self.assertEqual(self.json("ls", store="reader")["interest"], "1000-1110")

    def test_a_part_is_served_by_one_who_holds_only_that_part(self):
        _, author = self.push_lines(1000, self.hub)
        self.sync_one("middle", self.address, author, "--range", "400-600")
        self.hub.end()
        middle = self.relay("middle")
        part = self.sync_one("last", middle.address, author, "--range", "450-550")
        self.assertEqual((part["entries"], part["missing"]), (101, ""))
        self.assert_sound("last")
        beyond = self.text("sync", middle.address, author, "--range", "700-720", store="last",
                           status=NOT_FOUND)
        self.assertRegex(beyond, r"the peer does not hold \d+ entries of what is wanted: 7")
        self.assertIn("all the peer holds", beyond)

    def test_payloads_can_be_left_out_and_taken_later(self):
        _, author = self.push_lines(100, self.hub)
        bare = self.sync_one("reader", self.address, author, "--entries-only")
        self.assertEqual((bare["state"], bare["entries"], bare["payload_bytes"]),
                         ("complete", 100, 0))
        self.assertIn("complete to 100, but 100 payloads not held", self.text("ls", store="reader"))
        row = self.json("ls", store="reader")
        self.assertEqual((row["complete"], row["payloads_missing"]), (True, "1-100"))
        self.sync_one("part", self.address, author, "--range", "90-99", "--entries-only")
        self.assertIn("partial, but 10 payloads not held", self.text("ls", store="part"))
        self.assertEqual(self.sync_one("reader", self.address)["payload_bytes"], 0)
        more = self.sync_one("reader", self.address, author, "--range", "1-")
        self.assertEqual((more["entries"], more["payload_bytes"]), (0, 0))
        lacks = self.error(NOT_FOUND, "cat", author, "--range", "5", "--store",
                           self.path("reader"))
        self.paste(lacks, "select")
        self.assertEqual(self.sync_one("reader", self.address)["entries"], 0)
        self.assertEqual(self.printed("reader", author), self.lines(100))

    def test_large_payloads_come_in_parts_or_not_at_all(self):
        key, author = self.keygen()
        contents = [b"small", os.urandom(3_000_000), b"", os.urandom(50_000)]
        for content in contents:
            self.out("append", "--key", key, stdin=content, store="author")
        self.sync_one("author", self.address, "--push")
        lean = self.sync_one("lean", self.address, author, "--payload-max", 40_000,
                             status=NOT_FOUND)
        self.assertEqual((lean["entries"], lean["payload_bytes"]), (4, 5))
        self.assertEqual((lean["state"], lean["payloads_missing"], lean["payloads_left_out"]),
                         ("partial", "2,4", "2,4"))
        said = self.text("sync", self.address, author, "--payload-max", 100_000, store="lean",
                         status=NOT_FOUND)
        self.assertIn("--payload-max left out the payloads of 1 entry: 2\n", said)
        whole = self.sync_one("whole", self.address, author, "--newest-first")
        self.assertEqual(whole["payload_bytes"], sum(map(len, contents)))
        self.assertEqual(self.out("cat", author, store="whole"), b"".join(contents))
        self.assert_sound("lean", "whole", "relay")

    def test_newest_first_ends_with_the_same(self):
        _, author = self.push_lines(2500, self.hub)
        self.sync_one("reader", self.address, author, "--newest-first")
        self.assertEqual(self.printed("reader", author), self.lines(2500))
        self.assert_sound("reader")

    def test_full_verification_by_three_threads_ends_with_the_same(self):
        _, author = self.push_lines(2500, self.hub)
        self.sync_one("reader", self.address, author, "--verification", "full",
                      "--verify-threads", "3")
        self.assertEqual(self.printed("reader", author), self.lines(2500))
        self.assert_sound("reader")

    def test_a_budget_stops_it_and_the_next_run_goes_on(self):
        _, author = self.push_lines(3000, self.hub)
        runs = 0
        while True:
            runs += 1
            part = self.sync_one("reader", self.address, author, "--budget", 100_000)
            self.assert_sound("reader")
            if part["state"] == "complete":
                break
            self.assertEqual(part["state"], "budget")
            self.assertLess(part["payload_bytes"], 100_000)
            self.assertRegex(self.text("ls", store="reader"), rf"complete to {part['head']}; .* behind")
            self.assertLess(runs, 20)
        self.assertGreater(runs, 2)
        self.assertEqual(self.printed("reader", author), self.lines(3000))

    def test_who_reads_can_do_without_what_the_peer_has_deleted(self):
        key, author = self.push_lines(20, self.hub)
        self.out("append", "--key", key, "--log-id", 7, "-", stdin=b"other", store="reader")
        self.out("delete", author, "--payloads", "--range", "5-7", store="relay")
        said = self.error(NOT_FOUND, "sync", self.address, author + ".0", store="reader")
        step = re.search(r"or do without them: `culm ([^`]*)`", said)
        self.out(*step[1].split(), store="reader")
        self.sync_one("reader", self.address, author + ".0")
        self.assertEqual(self.out("cat", author + ".7", store="reader"), b"other")

    def test_the_start_of_an_author_who_is_new_is_no_name(self):
        self.new_log(["x"])
        said = self.error(NOT_FOUND, "sync", self.address, "deadbeef")
        self.assertIn("64 digits", said.split("next: ")[1])

    def test_a_deleted_payload_does_not_come_back(self):
        _, author = self.push_lines(100, self.hub)
        self.sync_one("reader", self.address, author)
        self.out("delete", author, "--payloads", "--range", "1-50", store="reader")
        self.assertEqual(self.sync_one("reader", self.address)["payload_bytes"], 0)
        self.assertEqual(self.sync_one("reader", self.address, author)["deleted_here"], "1-50")
        for part, count, seqnums in (("--quote",), 50, "1-50"), ((), 50, "1-50"), (
                (author, "--range", "41-60"), 10, "41-50"):
            said = self.text("sync", self.address, *part, store="reader")
            self.assertIn(f": the payloads of {count} entries were deleted here and do not come "
                          f"back by themselves: {seqnums}; `culm sync {self.address} "
                          f"{author[:12]}.0 --range {seqnums} --undelete` takes them again\n", said)
        again = self.sync_one("reader", self.address, author, "--range", "41-60", "--undelete")
        self.assertEqual(again["deleted_here"], "")
        self.assertEqual(again["payload_bytes"], sum(map(len, self.lines(10, 41))))
        self.assertEqual(self.json("ls", store="reader")["payloads_deleted"], 40)
        lacking = self.sync_one("third", self.address, author)
        self.assertEqual((lacking["state"], lacking["payloads_missing"]), ("complete", ""))
        self.assert_sound("reader")

    def test_what_comes_back_is_named_with_peers_that_hold_it_and_is_wanted_as_before(self):
        _, author = self.push_lines(9, self.hub)
        other = self.relay("second", "--accept-any")
        self.sync_one("author", other.address, "--push")
        self.sync_one("reader", self.address, author, "--newest", "3")
        self.out("delete", author, "--payloads", "--range", "7-9", store="reader")
        self.out("delete", author, "--payloads", "--range", "7", store="relay")
        self.out("delete", author, "--payloads", "--range", "9", store="second")
        said = self.text("sync", self.address, author, "--range", "7-8", store="reader")
        self.assertIn("by themselves: 8; ", said)
        self.out(*re.search("`culm (sync .* --undelete)`", said)[1].split(), "--quote",
                 store="reader")
        self.assertNotIn("again", self.text("sync", self.address, author, "--range", "7",
                                            store="reader"))
        self.out("select", author, "--newest", "3", store="reader")
        said = self.text("sync", self.address, "--also", other.address, store="reader")
        step = re.search("7-9; `culm (sync .* --undelete)` takes them again\n", said)[1]
        self.out(*step.split(), store="reader")
        row = self.json("select", author, store="reader")
        self.assertEqual((row["interest"], row["interest_newest"]), ("", 3))
        self.assertEqual(self.json("ls", store="reader")["payloads"], 3)
        # What was not wanted is from then on.
        self.out("delete", author, "--payloads", "--range", "1-6", store="reader")
        self.sync_one("reader", self.address, author, "--range", "1", "--undelete")
        self.assertEqual(self.json("select", author, store="reader")["interest"], "1")

    def test_what_was_deleted_comes_back_alone_where_payloads_are_not_wanted(self):
        key, author = self.push_lines(100, self.hub)
        self.sync_one("reader", self.address, author)
        self.out("delete", author, "--payloads", "--range", "11-30", store="reader")
        self.sync_one("reader", self.address, author, "--entries-only")
        self.out("append", "--key", key, "--lines", stdin=b"more\n" * 10, store="author")
        self.sync_one("author", self.address, "--push")
        self.assertEqual(self.sync_one("reader", self.address)["payload_bytes"], 0)
        # Nothing is said where nothing comes.
        for arguments in ["--quote"], [author, "--range", "1-5"]:
            said = self.text("sync", self.address, *arguments, "--undelete", store="reader")
            self.assertNotIn("this once", said)
        some = self.sync_one("reader", self.address, author, "--range", "11-20", "--undelete")
        self.assertEqual((some["state"], some["payloads_missing"]), ("complete", ""))
        said = self.text("sync", self.address, "--undelete", store="reader")
        self.assertIn(": the log is wanted without payloads: those that were deleted here come this "
                      "once; ", said)
        row = self.json("ls", store="reader")
        self.assertEqual((row["payloads_deleted"], row["payloads_missing"]), (0, "101-110"))
        self.assertEqual(self.out("cat", author, "--lines", "--range", "1-100", store="reader"),
                         "".join(line + "\n" for line in self.lines(100)).encode())
        self.assertFalse(self.json("select", author, store="reader")["payloads_wanted"])
        self.assertNotIn("this once", self.text("sync", self.address, "--undelete", store="reader"))
        self.out(*re.search("`culm (select .*?)`", said)[1].split(), store="reader")
        self.sync_one("reader", self.address)
        self.assertEqual(self.json("ls", store="reader")["payloads"], 110)

    def test_what_undelete_does_not_bring_stays_deleted(self):
        _, author = self.push_lines(20, self.hub)
        large = self.write("large", os.urandom(3_000_000))
        self.out("append", "--key", self.path("me.key"), large, store="author")
        self.sync_one("author", self.address, "--push")
        self.sync_one("reader", self.address, author)
        self.out("delete", author, "--payloads", "--range", "1-10,21", store="reader")
        self.out("delete", author, "--payloads", "--range", "1-5", store="relay")
        deleted = lambda: self.json("ls", store="reader")["payloads_deleted"]
        self.out("sync", "127.0.0.1:1", "--undelete", store="reader", status=NETWORK)
        self.assertEqual(deleted(), 11)
        quote = self.json("sync", self.address, "--quote", "--undelete", store="reader")["quote"]
        self.assertEqual(deleted(), 11)
        lacking = self.sync_one("reader", self.address, "--undelete", status=NOT_FOUND)
        self.assertEqual(lacking["payloads_missing"], "1-5")
        self.assertEqual(quote["payload_bytes"], lacking["payload_bytes"])
        self.assertGreater(lacking["payload_bytes"], 3_000_000)
        self.assertEqual(deleted(), 5)
        again = self.sync_one("reader", self.address)
        self.assertEqual((again["state"], again["payloads_missing"]), ("complete", ""))
        self.assert_sound("reader")

    def test_what_comes_only_in_part_stays_deleted_and_is_gone_on_with(self):
        """The next sync without --undelete fetches nothing of it."""
        large = self.write("large", os.urandom(6_000_000))
        author = self.new_log(b"x", store="author")
        self.out("append", "--key", self.path("me.key"), large, store="author")
        self.sync_one("author", self.address, "--push")
        self.sync_one("reader", self.address, author)
        self.out("delete", author, "--payloads", "--range", "last", store="reader")
        deleted = lambda: self.json("ls", store="reader")["payloads_deleted"]
        undelete = [self.address, "--undelete", "--budget", "2M"]
        came = [self.sync_one("reader", *undelete)["payload_bytes"]]
        self.assertEqual(deleted(), 1)
        plain = self.sync_one("reader", self.address)
        self.assertEqual((plain["payload_bytes"], deleted()), (0, 1))
        while deleted():
            came.append(self.sync_one("reader", *undelete)["payload_bytes"])
        self.assertGreater(len(came), 2)
        self.assertLess(sum(came), 7_000_000)
        self.assert_sound("reader")
        # What is left of one is erased with the next deletion.
        self.out("delete", author, "--payloads", "--range", "last", store="reader")
        self.sync_one("reader", *undelete)
        self.out("delete", author, "--payloads", "--range", "last", store="reader")
        self.assertEqual(self.json("du", store="reader")["staged_bytes"], 0)

    def test_a_push_says_what_the_peer_does_not_hold(self):
        _, author = self.push_lines(100, self.hub)
        # Who deleted payloads does not take them again.
        self.out("delete", author, "--payloads", "--range", "90-100", store="relay")
        again = self.sync_one("author", self.address, "--push", status=NOT_FOUND)
        self.assertEqual((again["state"], again["pushed"]), ("partial", False))
        self.assertEqual(again["unconfirmed"],
                         [{"address": self.address, "entries": "", "payloads": "90-100"}])
        self.assertEqual(self.json("ls", store="relay")["payloads"], 89)
        text = self.text("sync", self.address, "--push", store="author", status=NOT_FOUND)
        self.assertIn("does not confirm that it holds the payloads of 11 entries: 90-100\n", text)
        self.assertNotIn("all there is here", text)
        live = self.live("author", self.address, "--push")
        said = live.wait_for(event="pushed_in_part")
        self.assertEqual((said["head"], said["unconfirmed_payloads"]), (100, "90-100"))
        live.end(status=NOT_FOUND)
        lacking = self.sync_one("fourth", self.address, author, status=NOT_FOUND)
        self.assertEqual((lacking["state"], lacking["payloads_missing"]), ("partial", "90-100"))
        self.assert_sound("fourth", "relay")

    def test_a_push_that_lacks_what_the_peer_deleted_names_ways_that_work(self):
        _, author = self.push_lines(10, self.hub)
        self.out("delete", author, "--payloads", "--range", "3-4", store="relay")
        said = self.error(NOT_FOUND, "sync", self.address, "--push", store="author")
        step = re.search(r"comes back by `culm (sync HOST:PORT \S+ --undelete)` there", said)[1]
        self.assertIn(f" {author}.0 ", step)
        relay = self.relay("author")
        self.out(*step.replace("HOST:PORT", relay.address).split(), store="relay")
        relay.end()
        self.assertTrue(self.sync_one("author", self.address, "--push")["pushed"])
        for store in "relay", "author":
            self.out("delete", author, "--payloads", "--range", "3-4", store=store)
        self.assertTrue(self.sync_one("author", self.address, "--push")["pushed"])

    def test_the_account_of_a_live_sync_is_that_of_another(self):
        _, author = self.push_lines(100, self.hub)
        self.out("delete", author, "--payloads", "--range", "10-20", store="relay")
        live = self.live("reader", self.address, author)
        said = live.wait_for(event="caught_up", head=100)
        self.assertEqual(said["payloads_missing"], "10-20")
        line = live.end(status=NOT_FOUND)[-2]
        self.assertEqual((line["state"], line["payloads_missing"]), ("partial", "10-20"))
        said = self.text("sync", self.address, author, "--live", "--deadline", 2, store="reader",
                         status=NOT_FOUND)
        self.assertIn("caught up with the peer at 100; it does not hold the payloads of 11 entries: "
                      "10-20\n", said)
        self.assertIn("does not hold the payloads of 11 entries that are wanted: 10-20\n", said)
        said = self.text("sync", self.address, author, "--live", "--push", "--deadline", 2,
                         store="reader", status=NOT_FOUND)
        self.assertIn("the peer holds everything that is here, up to 100\n", said)
        said = self.text("sync", self.address, author, "--live", "--range", "700", "--deadline", 2,
                         store="other", status=NOT_FOUND)
        self.assertIn("700 of what is wanted lies beyond the head, which is 100\n", said)
        whole = self.live("whole", self.address, author, "--range", "30-")
        self.assertNotIn("payloads_missing", whole.wait_for(event="caught_up", head=100))
        self.assertEqual(whole.end()[-2]["state"], "live")

    def test_a_range_beyond_the_head_is_not_complete(self):
        _, author = self.push_lines(100, self.hub)
        self.sync_one("author", self.address, "--push")
        for ranges, missing in (("5000-5010", "5000-5010"), ("95-105", "101-105"),
                                ("500-", "500-"), ("1,101", "101")):
            with self.subTest(ranges):
                part = self.sync_one(f"to {ranges}", self.address, author, "--range", ranges,
                                     status=NOT_FOUND)
                self.assertEqual((part["state"], part["missing"]), ("partial", missing))
        said = self.text("sync", self.address, author, "--range", "95-105", store="text",
                         status=NOT_FOUND)
        self.assertIn("101-105 of what is wanted lies beyond the head, which is 100\n", said)
        quote = self.text("sync", self.address, author, "--range", "102-105", "--quote", store="text")
        self.assertIn("102-105 of what is wanted lies beyond the head, which is 100\n", quote)
        # What was asked for once does not haunt later runs, nor does an open end.
        self.assertEqual(self.sync_one("text", self.address)["state"], "complete")
        for ranges in ("95-", "101-"):
            self.assertEqual(self.sync_one("text", self.address, author, "--range", ranges)["state"],
                             "complete")

    def test_more_logs_than_fit_into_a_session(self):
        key = self.keygen()
        for log_id in range(70):
            self.new_log([f"log {log_id}"], "--log-id", log_id, key=key, store="author")
        pushed, _ = self.sync("author", self.address, "--push")
        self.assertEqual([line["pushed"] for line in pushed], [True] * 70)
        names = [line["log"] for line in pushed]
        fetched, _ = self.sync("reader", self.address, *names)
        self.assertEqual(sum(line["entries"] for line in fetched), 70)
        self.assertEqual(self.text("cat", f"{key[1]}.69", store="reader"), "log 69")

    def test_what_people_read_says_what_moved_beside_the_whole(self):
        _, author = self.push_lines(1000, self.hub)
        text = self.text("sync", self.address, author + ".0", "--newest", 10, store="reader")
        header, row, whole = text.splitlines()
        self.assertEqual(header.split(), ["received", "entries", "certificate", "payloads", "wire",
                                          "in", "wire", "out", "time"])
        self.assertEqual(row.split()[:2], [author[:12], "10"])
        self.assertIn("all the peer holds", whole)
        self.assertIn("1,000", whole)


class Failing(NetworkScenario):
    def failure(self, *arguments, status=NETWORK):
        return self.error(status, "sync", *arguments, store="reader")

    def test_nobody_there(self):
        self.assertIn("connection refused", self.failure(self.nobody(), "0" * 64))

    def test_a_peer_of_another_network(self):
        key = self.write("net.key", "ab" * 32 + "\n")
        other = self.write("other.key", "cd" * 32 + "\n")
        os.chmod(key, 0o600)
        os.chmod(other, 0o600)
        named = self.relay("named", "--network", "garden")
        closed = self.relay("closed", "--network-key", key)
        log = "0" * 64
        for arguments in ([named.address, log], [named.address, log, "--network", "farm"],
                          [closed.address, log], [closed.address, log, "--network-key", other]):
            self.assertIn("another network", self.failure(*arguments))
        for arguments in ([named.address, log, "--network", "garden"],
                          [closed.address, log, "--network-key", key]):
            self.assertIn("does not serve this log", self.failure(*arguments))

    def test_another_peer_than_the_one_that_was_meant(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay)
        self.assertIn("is not the peer", self.failure(relay.address, author, "--peer", "1" * 64))
        self.assertFalse(os.path.exists(self.path("reader")))
        self.out("sync", relay.address, author, "--peer", relay.peer, store="reader")
        self.failure(relay.address, author, "--peer", "12", status=USAGE)

    def serve_bytes(self, content, hang=False):
        """Somebody who is no peer; the address."""
        listener = socket.create_server((HOST, 0))
        self.addCleanup(listener.close)
        self.held = []  # connections, or they end

        def run():
            connection, _ = listener.accept()
            self.held.append(connection)
            self.addCleanup(connection.close)
            connection.sendall(content)
            if not hang:
                connection.recv(64)
                connection.close()

        threading.Thread(target=run, daemon=True).start()
        return f"{HOST}:{listener.getsockname()[1]}"

    def test_somebody_who_is_no_peer(self):
        for content in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(1000)):
            self.failure(self.serve_bytes(content), "0" * 64)
        message = self.failure(self.serve_bytes(b"", hang=True), "0" * 64, "--timeout", 1)
        self.assertIn("nothing has moved", message)
        message = self.failure(self.serve_bytes(b"", hang=True), "0" * 64, "--deadline", 1)
        self.assertIn("not done within 1", message)
        for option, words in ("--deadline", "not done within"), ("--timeout", "nothing has moved for"):
            message = self.failure(self.serve_bytes(b"", hang=True), "0" * 64, option, "0.25s")
            self.assertIn(f"{words} 250 ms", message)
        message = self.failure(self.serve_bytes(b"", hang=True), "0" * 64, "--deadline", "0.001s")
        self.assertIn("not done within 1 ms", message)

    def test_a_log_that_nobody_has_leaves_no_trace(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay)
        self.sync_one("reader", relay.address, author)
        for log, is_hinted in (("f" * 64, True), ("f" * 64 + ".2", False)):
            said = self.failure(relay.address, log)
            self.assertIn("does not serve", said)
            self.assertEqual(f" by name, like {'f' * 64}.1\n" in said, is_hinted)
        said = self.error(NETWORK, "sync", relay.address, "f" * 64, store="reader")
        self.assertIn("next: check the name of the log", said)
        emptied = self.relay("emptied", "--accept-any")
        said = self.error(NETWORK, "sync", emptied.address, author, store="reader")
        self.assertNotIn("by name", said)
        command, = re.findall("next: push it there: `culm ([^`]*)`", said)
        self.out(*command.split(), store="reader")
        self.sync_one("other", emptied.address, author)
        done = self.run_culm("sync", relay.address, author, "0" * 64, "--live", "--deadline", 1,
                             status=NETWORK, store="reader")
        self.assertIn("0" * 12 + ": the peer does not serve this log\n",
                      done.stdout.decode().split("received ")[-1])
        self.assertEqual([row["log"] for row in self.json_lines("ls", store="reader")], [author])
        self.out("sync", relay.address, store="reader")

    def test_a_log_that_is_not_taken(self):
        relay = self.relay("relay")
        author = self.new_log(["a"], store="reader")
        message = self.failure(relay.address, "--push")
        self.assertIn("does not take this log", message)
        self.assertIn(f"--accept {author}.0 besides", message)

    def test_a_peer_that_goes_away(self):
        relay = self.relay("relay", "--accept-any")
        key = self.keygen()
        self.new_log(["a"], key=key, store="reader")
        live = self.live("reader", relay.address, "--push")
        live.wait_for(event="pushed", head=1)
        relay.kill()
        live.wait_for(event="disconnected")
        live.end()

    def test_a_live_sync_that_reaches_nobody_confirms_nothing(self):
        nobody = self.nobody()
        self.new_log(["a", "b"], store="reader")
        self.failure(nobody, "--push", "--live", "--deadline", 1)

    def test_a_wrong_command_line(self):
        for arguments in ([], ["127.0.0.1"], ["127.0.0.1:1", "12"],
                          ["127.0.0.1:1", "0" * 64, "--range", "5-3"],
                          ["127.0.0.1:1", "0" * 64, "--live", "--once"],
                          ["127.0.0.1:1", "0" * 64, "--quote", "--push"],
                          ["127.0.0.1:1", "0" * 64, "--timeout", "0"],
                          ["127.0.0.1:1", "0" * 64, "--deadline", "0"],
                          ["127.0.0.1:1", "0" * 64, "--deadline", "90000"],
                          ["127.0.0.1:1", "0" * 64, "--newest", "-1"],
                          ["127.0.0.1:1", "0" * 64, "--newest", "0"],
                          ["127.0.0.1:1", "0" * 64, "--budget", "0"],
                          ["127.0.0.1:1", "0" * 64, "--verification", "none"],
                          ["127.0.0.1:1", "0" * 64, "--verify-threads", "0"],
                          ["127.0.0.1:1", "0" * 64, "--timeout", "nan"]):
            self.failure(*arguments, status=USAGE)


class Forks(NetworkScenario):
    def test_two_branches_meet_at_a_relay(self):
        relay = self.relay("relay", "--accept-any")
        key, author = self.push_lines(20, relay)
        shutil.copytree(self.path("author"), self.path("clone"))
        self.copy_marks()
        self.new_log(["one branch"], key=(key, author), store="author")
        with self.other_machine():
            self.new_log(["another"], key=(key, author), store="clone")
        self.sync_one("author", relay.address, "--push")
        self.sync_one("reader", relay.address, author)
        message = self.error(FORK, "sync", relay.address, "--push", store="clone")
        self.assertIn("forked the log at 21", message)
        self.assertIn("--dropped` prints what was dropped", message)
        self.assertIn("its author goes on with another log: `culm append --key FILE", message)
        self.error(FORK, "sync", relay.address, author, store="author")
        for store, branch in ("clone", "another"), ("author", "one branch"):
            self.assertEqual(self.printed(store, author, "--dropped"), [branch])
            self.assertEqual(self.printed(store, author, "--dropped", "--range", "21"), [branch])
        self.error(NOT_FOUND, "cat", author, "--dropped", "--range", "20", store="clone")
        self.assertIn("--dropped --range 21` prints what the fork dropped",
                      self.error(NOT_FOUND, "cat", author, "--range", "21", store="clone"))
        for store in ("clone", "relay", "reader", "author"):
            if store != "relay":
                self.error(FORK, "sync", relay.address, author, store=store)
            self.assertEqual(self.json("ls", store=store)["cap"], 21, store)
            self.error(FORK, "verify", store=store)
            verdict = self.json_lines("verify", store=store, status=FORK)[0]
            piece, = verdict["evidence"]
            self.assertEqual((piece["kind"], piece["at"], len(piece["encoded_entries"])), ("fork", 21, 2))
            shown = self.run_culm("verify", store=store, status=FORK).stdout.decode()
            self.assertIn("fork at 21: the author signed both, and they differ from the field "
                          "payload_size on", shown)
            self.assertEqual(self.printed(store, author, "--range", "1-20"), self.lines(20))
        relay.end()


    def test_uneven_branches_meet_at_a_relay(self):
        key, author = self.keygen()
        self.new_log(self.lines(30), key=(key, author), store="a")
        self.copy_marks()
        shutil.copytree(self.path("a"), self.path("b"))
        self.new_log(self.lines(30, 31), key=(key, author), store="a")
        with self.other_machine():
            self.new_log(self.lines(25, 131), key=(key, author), store="b")
        relay = self.relay("a", "--accept-any")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")  # who asks nothing before
        message = self.error(FORK, "sync", relay.address, "--push", store="b")
        self.assertIn("forked the log at 31", message)
        self.error(FORK, "sync", relay.address, "--push", store="b")
        relay.end()


class Living(NetworkScenario):
    def test_what_is_appended_is_pushed_and_comes_at_once(self):
        relay = self.relay("relay", "--accept-any")
        key = self.push_lines(5, relay)
        author = self.live("author", relay.address, "--push")
        author.wait_for(event="pushed", head=5)
        reader = self.live("reader", relay.address, key[1], "--range", "3-")
        reader.wait_for(event="caught_up", head=5)
        for head in (6, 7):
            self.new_log(self.lines(1, head), key=key, store="author")
            author.wait_for(event="pushed", head=head)
            reader.wait_for(event="received", up_to=head)
        self.assertEqual(self.printed("reader", key[1], "--range", "3-"), self.lines(5, 3))
        author.end()
        last, whole = reader.end()[-2:]
        self.assertEqual((last["log"], last["state"]), (key[1], "live"))
        self.assertEqual(whole["peer"], relay.peer)
        self.assert_sound("author", "relay", "reader")

    def test_it_connects_again_and_goes_on(self):
        relay = self.relay("relay", "--accept-any")
        key = self.push_lines(5, relay)
        reader = self.live("reader", relay.address, key[1])
        reader.wait_for(event="caught_up", head=5)
        relay.kill()
        reader.wait_for(event="disconnected")
        relay = self.relay("relay", "--accept-any", listen=relay.address)
        reader.wait_for(event="connected")
        self.new_log(self.lines(1, 6), key=key, store="author")
        self.sync_one("author", relay.address, "--push")
        reader.wait_for(event="received", up_to=6)
        reader.end()
        self.assert_sound("reader")

    def test_newest_moves_with_the_head(self):
        relay = self.relay("relay", "--accept-any")
        key = self.push_lines(500, relay)
        reader = self.live("reader", relay.address, key[1], "--newest", 10)
        reader.wait_for(event="caught_up", head=500)
        self.new_log(self.lines(300, 501), key=key, store="author")
        self.sync_one("author", relay.address, "--push")
        reader.wait_for(event="received", up_to=800)
        reader.end()
        self.assertEqual(self.printed("reader", key[1], "--range", "791-"), self.lines(10, 791))
        self.assert_sound("reader")


if __name__ == "__main__":
    main()
