"""Fetching from several peers together: who brings what, and what happens when one of them does not."""

import re
import shutil
import signal
import socket
import tempfile
import threading
import time

from relay_harness import NetworkScenario
from scenario import HOST, NETWORK, NOT_FOUND, USAGE, main

LINES = 10_000
RATE_BYTES = 400_000


class Proxy:
    """Stands before a relay, lets so many bytes a second pass towards the caller, and after
    `trouble_at` of them does what `trouble` says: "stall" or "cut"."""

    def __init__(self, test, address, rate=RATE_BYTES, trouble=None, trouble_at=0):
        self.target = address.rsplit(":", 1)
        self.rate, self.trouble, self.trouble_at = rate, trouble, trouble_at
        self.passed = 0
        self.listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self.listener.getsockname()[1]}"
        self.sockets = [self.listener]
        test.addCleanup(self.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
                relay = socket.create_connection((self.target[0], int(self.target[1])))
            except OSError:
                return
            self.sockets += [caller, relay]
            for source, sink, back in ((caller, relay, False), (relay, caller, True)):
                threading.Thread(target=self.pass_on, args=(source, sink, back),
                                 daemon=True).start()

    def pass_on(self, source, sink, back):
        begin, passed = time.monotonic(), 0
        try:
            while piece := source.recv(16384):
                if back and self.trouble and self.passed + len(piece) > self.trouble_at:
                    if self.trouble == "cut":
                        return self.close()
                    piece = b""
                    while source.recv(16384):  # it takes all and passes nothing
                        pass
                    return None
                sink.sendall(piece)
                if back:
                    passed += len(piece)
                    self.passed += len(piece)
                    ahead = passed / self.rate - (time.monotonic() - begin)
                    if ahead > 0:
                        time.sleep(ahead)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return None


class SeveralPeers(NetworkScenario):
    """Two relays that hold the same log."""

    def begin(self):
        self.first, self.second = (self.relay(name, "--accept-any") for name in ("first", "second"))
        self.relays = (self.first.address, self.second.address)

    def fetch(self, store, first, *others, status=0):
        also = [part for other in others for part in ("--also", other)]
        return self.sync(store, first, self.author, *also, status=status)

    def assert_whole(self, store):
        self.assertEqual(self.printed(store, self.author), self.lines(LINES))
        self.assert_sound(store)


class Fetches(SeveralPeers):
    author = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.made = tempfile.mkdtemp(prefix="culm-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.made, ignore_errors=True)

    def setUp(self):
        super().setUp()
        if self.author is None:
            self.make()
        for name in "first", "second":
            shutil.copytree(f"{self.made}/store", self.path(name))
        self.begin()

    def make(self):
        """The store of both, once for all tests: that takes longer than most of them."""
        relay = self.relay("made", "--accept-any")
        type(self).author = self.push_lines(LINES, relay)[1]
        relay.end()
        shutil.copytree(relay.store, f"{self.made}/store",
                        ignore=shutil.ignore_patterns("peer.key"))
        shutil.rmtree(self.path("marks"))  # the author is somebody else

    def test_two_peers_share_the_work(self):
        # So slow that what a busy machine adds to either time matters little.
        one = Proxy(self, self.relays[0], RATE_BYTES // 4)
        other = Proxy(self, self.relays[1], RATE_BYTES // 4)
        _, alone = self.fetch("slow", one.address)
        logs, both = self.fetch("quick", one.address, other.address)
        self.assertEqual(logs[0]["state"], "complete")
        self.assert_whole("quick")
        # Half of it but for the tail.
        self.assertLess(both["seconds"], 0.8 * alone["seconds"])
        peers = both["peers"]
        self.assertEqual([peer["address"] for peer in peers], [one.address, other.address])
        self.assertEqual([peer["state"] for peer in peers], ["ok", "ok"])
        entries = [peer["entries"] for peer in peers]
        self.assertLessEqual(sum(entries), LINES * 1.05)
        self.assertGreater(min(entries), LINES / 4)
        for direction in ("bytes_received", "bytes_sent"):
            self.assertEqual(sum(peer[direction] for peer in peers), both[direction])
        # What is here is not asked for again.
        _, again = self.fetch("quick", one.address, other.address)
        self.assertEqual([peer["entries"] for peer in again["peers"]], [0, 0])

    def test_one_that_stalls_is_passed_over(self):
        # In the handshake, in its first answer, in a segment; as the first peer or as another.
        for at, is_first in ((50, True), (300, False), (2000, True), (200_000, False)):
            # The other brings what it has no faster than this one stalls.
            bad = Proxy(self, self.relays[0], 4 * RATE_BYTES, "stall", at)
            peers = (bad.address, Proxy(self, self.relays[1], 4 * RATE_BYTES).address)
            store = f"reader {at}"
            logs, whole = self.fetch(store, *(peers if is_first else peers[::-1]))
            self.assertEqual(logs[0]["state"], "complete")
            self.assertLess(whole["seconds"], 28)  # it is not waited for until nothing moves
            self.assert_whole(store)
            self.assertEqual(logs[0]["silent"], [{"address": bad.address}], at)
            self.assertEqual(whole["peers"][0 if is_first else 1]["state"], "unanswered", at)

    def test_one_that_goes_away_is_passed_over_and_named(self):
        for number, at in enumerate((0, 2000, 200_000)):
            bad = Proxy(self, self.relays[0], trouble="cut", trouble_at=at)
            good = Proxy(self, self.relays[1])
            logs, whole = self.fetch(f"reader {number}", bad.address, good.address)
            self.assertEqual(logs[0]["state"], "complete")
            self.assert_whole(f"reader {number}")
            self.assertNotEqual(whole["peers"][0]["state"], "ok", whole)
            self.assertEqual(whole["peers"][1]["state"], "ok", whole)

    def test_a_budget_is_one_for_all_peers(self):
        budget = 700_000
        for trouble in ("cut", "stall"):
            # The one that is asked first brings half a megabyte, and so could the other.
            peers = [Proxy(self, relay, 10 * RATE_BYTES, trouble, 500_000).address
                     for relay in self.relays]
            store = f"reader {trouble}"
            log, whole = self.budgeted(store, budget, *peers)
            self.assertLess(whole["bytes_received"], budget + budget // 50 + 1_500)
            self.assertGreater(whole["bytes_received"], 0.8 * budget)
            self.assertGreater(min(peer["entries"] for peer in whole["peers"]), 0)
            self.assertEqual(log["state"], "budget")
            # The next run has its own.
            log, whole = self.budgeted(store, 4_000_000, *self.relays)
            self.assertEqual(log["state"], "complete")
            self.assert_whole(store)

    def budgeted(self, store, budget, first, other):
        logs, whole = self.sync(store, first, self.author, "--also", other, "--budget", budget)
        return logs[0], whole

    def test_one_that_was_never_there_is_named(self):
        address = self.nobody()
        _, whole = self.fetch("reader", address, self.relays[1])
        self.assert_whole("reader")
        self.assertEqual(whole["peers"][0]["state"], "network")
        self.assertNotIn("peer", whole["peers"][0])
        self.run_culm("sync", address, self.author, "--also", "localhost:1", store="nobody",
                      status=NETWORK)

    def test_of_one_that_was_never_there_nobody_says_what_it_lacks(self):
        self.run_culm("delete", self.author, "--payloads", "--range", "10-20", store="second")
        address = self.nobody()
        for live in ([], ["--live", "--deadline", "6"]):
            ended = self.run_culm("sync", address, self.author, "--also", self.relays[1],
                                  "--range", "1-100", *live, store="reader", status=NOT_FOUND)
            self.assertIn(b"no peer that answered holds the payloads of 11 entries", ended.stdout)
            self.assertIn(f"the peer at {address} has not said".encode(), ended.stderr)
            self.assertNotIn(b"culm delete", ended.stderr)

    def test_one_that_does_not_answer_the_call_is_not_waited_for(self):
        # A listener that accepts nobody, its queue full: the call is under way for ten seconds.
        deaf = socket.create_server((HOST, 0), backlog=0)
        self.addCleanup(deaf.close)
        address = f"{HOST}:{deaf.getsockname()[1]}"
        callers = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
            callers.append(one)
            self.addCleanup(one.close)
        # Little is asked for: it is not this that takes time.
        logs, whole = self.sync("reader", self.relays[0], "--also", address, self.author,
                                "--range", "1-100")
        self.assertEqual(logs[0]["state"], "complete")
        self.assertLess(whole["seconds"], 9)
        self.assertEqual(whole["peers"][1]["state"], "unanswered")

    def test_what_people_read_says_who_brought_what(self):
        text = self.text("sync", self.relays[0], self.author, "--also", self.relays[1],
                         store="reader")
        came = 0
        for address in self.relays:
            self.assertRegex(text, f"from {address}: [0-9,]+ entries, .* in\n")
            came += self.number(f"from {address}: ([0-9,]+) entries", text)
        # The table counts each entry once.
        received = (self.number(rf"{self.author[:12]} +([0-9,]+) ", text)
                    + self.number(rf"{self.author[:12]} +[0-9,]+ +([0-9,]+) ", text))
        twice = self.number("([0-9,]+) entr(?:y|ies) of these w(?:as|ere) here already", text)
        self.assertEqual(came - twice, received, text)

    @staticmethod
    def number(pattern, text):
        found = re.search(pattern, text)
        return int(found[1].replace(",", "")) if found else 0

    def test_a_relay_does_it_as_well(self):
        self.relay("reader", "--accept-any")
        logs, whole = self.fetch("reader", *self.relays)
        self.assertEqual(logs[0]["state"], "complete")
        self.assertEqual(len(whole["peers"]), 2)
        self.assert_whole("reader")

    def test_a_quote_is_of_the_peer_that_has_most(self):
        third = self.relay("third", "--accept-any")
        self.sync("third", self.relays[0], self.author, "--range", "1-100")
        lines = self.json_lines("sync", third.address, self.author, "--quote", "--also",
                                self.relays[0], store="reader")
        self.assertEqual(lines[0]["quote"]["entries"], LINES)

    def test_live_what_only_another_holds_comes_at_once(self):
        for store, deleted in (("first", "1-120"), ("second", "80-200")):
            self.run_culm("delete", self.author, "--payloads", "--range", deleted, store=store)
        ended = self.run_culm("sync", self.relays[0], self.author, "--also", self.relays[1],
                              "--range", "1-200", "--live", "--deadline", "8", store="reader",
                              status=NOT_FOUND)
        self.assertIn(b"the peers do not hold the payloads of 41 entries that are wanted: 80-120",
                      ended.stdout)
        self.assertIn(b"--payloads --range 80-120`", ended.stderr)

    def test_a_wrong_command_line(self):
        self.run_culm("sync", self.relays[0], "--also", self.relays[0], store="reader",
                      status=USAGE)
        self.run_culm("sync", self.relays[0], "--also", "nowhere", store="reader", status=USAGE)


class WithTheAuthor(SeveralPeers):
    def setUp(self):
        super().setUp()
        self.begin()
        self.key = self.push_lines(LINES, self.first)
        self.author = self.key[1]
        self.sync("author", self.relays[1], "--push")

    def test_one_that_is_stopped_keeps_no_sync_from_its_end_and_is_named(self):
        stopped = self.second.process
        stopped.send_signal(signal.SIGSTOP)
        self.addCleanup(stopped.send_signal, signal.SIGCONT)
        peers = (self.relays[0], "--also", self.relays[1])
        silent = [{"address": self.relays[1]}]
        logs, whole = self.sync("reader", *peers, self.author, "--timeout", "12")
        self.assertEqual((logs[0]["state"], logs[0]["silent"]), ("complete", silent))
        self.assertEqual(whole["peers"][1]["state"], "unanswered")
        self.assertLess(whole["seconds"], 12)
        self.assert_whole("reader")
        quote = self.json_lines("sync", *peers, self.author, "--quote", "--timeout", "8",
                                store="reader")
        self.assertEqual(quote[0]["silent"], silent)
        said = self.text("sync", *peers, self.author, "--quote", "--timeout", "8", store="reader")
        self.assertIn(f"the peer at {self.relays[1]} did not answer", said)
        # A push is for all: it is not whole, and says for whom.
        self.new_log(self.lines(20, LINES + 1), "--gate", "never", key=self.key, store="author")
        failed = self.json("sync", *peers, self.author, "--push", "--deadline", "60",
                           store="author", status=NETWORK)
        self.assertEqual(failed["about"], f"peer {self.relays[1]}")
        # Its handshake may have been given up before.
        self.assertIn(failed["error"], ("timeout", "handshake"))
        self.assertEqual(self.printed("first", self.author), self.lines(LINES + 20))

    def test_a_push_goes_to_each(self):
        self.new_log(self.lines(20, LINES + 1), key=self.key, store="author")
        logs, whole = self.sync("author", self.relays[0], "--push", "--also", self.relays[1])
        self.assertTrue(logs[0]["pushed"])
        self.assertEqual(len(whole["peers"]), 2)
        for relay in ("first", "second"):
            self.assertEqual(self.printed(relay, self.author), self.lines(LINES + 20))
        text = self.text("sync", self.relays[0], "--push", "--also", self.relays[1],
                         store="author")
        self.assertIn("every peer confirms that it holds all", text)

    def test_live_another_takes_over_from_one_that_dies(self):
        reader = self.live("reader", self.relays[0], self.author, "--also", self.relays[1])
        reader.wait_for(event="caught_up", head=LINES)
        self.first.kill()
        reader.wait_for(event="disconnected", address=self.relays[0])
        self.new_log(self.lines(1, LINES + 1), key=self.key, store="author")
        self.sync("author", self.relays[1], "--push")
        reader.wait_for(event="received", up_to=LINES + 1)
        peers = reader.end()[-1]["peers"]
        self.assertEqual([peer["address"] for peer in peers], list(self.relays))
        self.assert_sound("reader")


if __name__ == "__main__":
    main()
