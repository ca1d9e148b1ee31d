"""Large payloads over links that break: what came stays, and nothing small waits for it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

from relay_harness import NetworkScenario
from scenario import CULM, HOST, NETWORK, main

PATIENCE_SECONDS = 60
MEGABYTE = 1_000_000


class Link:
    """A way to `address` that takes so many bytes of each connection, then cuts it or is silent."""

    def __init__(self, test, address, limit, cuts=True, is_push=False):
        self.host, self.port = address.rsplit(":", 1)
        self.limit, self.cuts, self.is_push, self.brought = limit, cuts, is_push, 0
        self.listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self.listener.getsockname()[1]}"
        self.sockets = []
        threading.Thread(target=self.serve, daemon=True).start()
        test.addCleanup(self.close)

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection((self.host, int(self.port)))
            self.sockets += [near, far]
            to, back = (self.limit, None) if self.is_push else (None, self.limit)
            for ends in ((near, far, to), (far, near, back)):
                threading.Thread(target=self.pump, args=ends, daemon=True).start()

    def pump(self, source, target, left):
        try:
            while part := source.recv(16_384):
                if left is not None:
                    part = part[:left]
                    left -= len(part)
                    self.brought += len(part)
                target.sendall(part)
                if left == 0:
                    break
        except OSError:
            pass
        if left == 0 and not self.cuts:
            return
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for end in [self.listener, *self.sockets]:
            end.close()


class Resuming(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.hub = self.relay("relay", "--accept-any")
        self.key = self.keygen()
        self.author = self.key[1]
        self.large = os.urandom(5 * MEGABYTE)
        contents = [b"a", self.large, os.urandom(400_000), os.urandom(400_000), b"b"]
        for content in contents:
            self.out("append", "--key", self.key[0], stdin=content, store="author")
        self.sync_one("author", self.hub.address, "--push")
        self.all = b"".join(contents)

    def log(self, store="reader"):
        return self.json("ls", store=store)

    def assert_all(self, store="reader"):
        self.assertEqual(self.out("cat", self.author, store=store), self.all)
        self.assertEqual(self.log(store)["payloads_in_part"], 0)
        self.assert_sound(store)

    def cut(self, limit, *arguments):
        """A sync over a link that breaks; how many bytes it brought."""
        link = Link(self, self.hub.address, limit)
        self.run_culm("sync", link.address, self.author, *arguments, store="reader",
                      status=NETWORK)
        return link.brought

    def test_over_links_that_break_it_comes_once(self):
        brought = self.cut(2 * MEGABYTE)
        held = self.log()
        self.assertEqual((held["entries"], held["payloads"], held["payloads_in_part"]), (5, 4, 1))
        self.assertGreater(held["payload_bytes_in_part"], MEGABYTE)
        self.assertRegex(self.text("ls", store="reader"),
                         r"complete to \d+, but 1 payload not held; [12]\.\d MB in parts of 1 "
                         r"payload$")
        entry = self.json("inspect", self.author, 2, store="reader")
        self.assertEqual(entry["payload_bytes_in_part"], held["payload_bytes_in_part"])
        self.assertIn("of it in part", self.text("inspect", self.author, 2, store="reader"))
        brought += self.cut(2 * MEGABYTE)
        logs, whole = self.sync("reader", self.hub.address)
        self.assertLess(brought + whole["bytes_received"], 1.05 * len(self.all))
        self.assert_all()

    def test_newest_first_it_goes_on_too(self):
        for _ in range(2):
            self.cut(2 * MEGABYTE, "--newest-first")
        self.assertEqual(self.log()["payloads"], 4)
        self.sync_one("reader", self.hub.address, "--newest-first")
        self.assert_all()

    def test_a_kill_and_an_interrupt_leave_what_came(self):
        for number, limit in ((signal.SIGKILL, 2 * MEGABYTE), (signal.SIGINT, 1_500_000)):
            before = self.log()["payload_bytes_in_part"] if number == signal.SIGINT else 0
            link = Link(self, self.hub.address, limit, cuts=False)
            process = self.start("--store", self.path("reader"), "sync", link.address, self.author)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self.in_part() <= before + 900_000:
                self.assertLess(time.monotonic(), deadline)
            process.send_signal(number)
            process.wait(PATIENCE_SECONDS)
        here = self.log()["payload_bytes_in_part"]
        self.assertGreater(here, 1_800_000)
        _, whole = self.sync("reader", self.hub.address)
        self.assertLess(whole["bytes_received"], 1.05 * (len(self.large) - here))
        self.assert_all()

    def in_part(self):
        done = subprocess.run([CULM, "--json", "--store", self.path("reader"), "ls"],
                              capture_output=True, timeout=PATIENCE_SECONDS)
        logs = [json.loads(line) for line in done.stdout.splitlines()] if not done.returncode else []
        return sum(log["payload_bytes_in_part"] for log in logs)

    def test_a_budget_leaves_what_came(self):
        runs = 0
        while self.sync_one("reader", self.hub.address, self.author,
                            "--budget", MEGABYTE)["state"] == "budget":
            runs += 1
            self.assertLess(runs, 8)
        self.assertGreater(runs, 4)
        self.assert_all()

    def test_another_peer_goes_on_after_the_first_is_gone(self):
        self.sync_one("other", self.hub.address, self.author)
        self.cut(3 * MEGABYTE)
        here = self.log()["payload_bytes_in_part"]
        self.hub.end()
        other = self.relay("other")
        _, whole = self.sync("reader", other.address)
        self.assertLess(whole["bytes_received"], 1.05 * (len(self.large) - here))
        self.assert_all()

    def test_a_push_goes_on_where_it_was_cut(self):
        self.out("append", "--key", self.key[0], stdin=self.large, store="author")
        link = Link(self, self.hub.address, 3 * MEGABYTE, is_push=True)
        self.run_culm("sync", link.address, "--push", store="author", status=NETWORK)
        self.assertGreater(self.log("relay")["payload_bytes_in_part"], 2 * MEGABYTE)
        _, whole = self.sync("author", self.hub.address, "--push")
        self.assertLess(whole["bytes_sent"], 3 * MEGABYTE)
        self.assertEqual(self.log("relay")["payloads"], 6)

    def test_parts_that_are_not_selected_any_more_go_and_that_is_said(self):
        for options in ["--none"], ["--newest", "3"], ["--entries-only"]:
            self.cut(2 * MEGABYTE)
            here = self.log()["payload_bytes_in_part"]
            self.assertGreater(here, 0)
            self.json("select", self.author, "--range", "1-2", store="reader")
            self.assertEqual(self.log()["payload_bytes_in_part"], here)
            with self.somebody_else():
                said = self.text("select", self.author, *options, "--dry-run", store="reader")
            self.assertRegex(said,
                             r"; would delete parts of 1 payload \([0-9.]+ [kM]B\): 2; held and not")
            self.assertEqual(self.log()["payload_bytes_in_part"], here)
            report = self.json("select", self.author, *options, store="reader")
            self.assertEqual((report["seqnums_in_part"], report["payload_bytes_in_part"]),
                             ("2", here))
            self.assertEqual((self.log()["payload_bytes_in_part"],
                              self.json("du", store="reader")["staged_bytes"]), (0, 0))
            self.assert_sound("reader")
            self.json("select", self.author, "--all", "--payloads", store="reader")
        self.sync_one("reader", self.hub.address)
        self.assert_all()

    def test_beside_a_node_too(self):
        self.cut(2 * MEGABYTE)
        node = self.relay("reader")
        report = self.json("select", self.author, "--none", store="reader")
        self.assertEqual(report["seqnums_in_part"], "2")
        self.assertEqual(self.json("du", store="reader")["staged_bytes"], 0)
        node.end()
        self.assert_sound("reader")

    def test_of_a_forgotten_log_the_parts_are_said(self):
        self.cut(2 * MEGABYTE)
        here = self.log()["payload_bytes_in_part"]
        report = self.json("forget", self.author, "--own", "--dry-run", store="reader")
        self.assertEqual((report["payloads"], report["payloads_in_part"],
                          report["payload_bytes_in_part"]), (4, 1, here))
        self.assertRegex(self.text("forget", self.author, "--own", store="reader"),
                         r"5 entries, 4 payloads \(800 kB\), parts of 1 payload \([12]\.\d MB\); ")

    def test_of_a_deleted_payload_no_part_stays(self):
        self.cut(2 * MEGABYTE)
        here = self.log()["payload_bytes_in_part"]
        arguments = ("delete", self.author, "--payloads", "--range", "2")
        self.assertRegex(self.text(*arguments, "--dry-run", store="reader"),
                         r": would delete 0 payloads \(0 B\); would delete parts of 1 payload "
                         r"\([12]\.\d MB\): 2; ")
        for options in ["--dry-run"], []:
            report = self.json(*arguments, *options, store="reader")
            self.assertEqual((report["seqnums"], report["seqnums_in_part"], report["barred"],
                              report["payload_bytes_in_part"]), ("", "2", "2", here))
        self.assertEqual(self.log()["payloads_in_part"], 0)
        self.sync_one("reader", self.hub.address)
        self.assertEqual(self.log()["payloads"], 4)
        self.assert_sound("reader")


if __name__ == "__main__":
    main()
