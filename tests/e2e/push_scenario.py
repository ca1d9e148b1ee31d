"""What is said of a push that did not come to its end."""

import json
import signal
import socket
import threading

from relay_harness import NetworkScenario
from scenario import INTERRUPTED, NETWORK, NOT_FOUND, main

CUT_BEHIND_BYTES = 200_000


class CutPush(NetworkScenario):
    """A relay behind a line that is cut in the middle."""

    def setUp(self):
        super().setUp()
        self.author = self.new_log([str(n) * 50 for n in range(3000)], store="author")
        self.hub = self.relay("relay", "--accept-any")
        self.cut = lambda: None
        self.line = self.server(self.carry)

    def carry(self, connection):
        host, port = self.hub.address.split(":")
        with socket.create_connection((host, int(port))) as there:
            back = threading.Thread(target=self.carry_back, args=(there, connection))
            back.start()
            carried = 0
            while carried < CUT_BEHIND_BYTES and (data := connection.recv(4096)):
                carried += len(data)
                there.sendall(data)
            if carried >= CUT_BEHIND_BYTES:  # others only asked something before
                self.cut()
            there.shutdown(socket.SHUT_RDWR)
            back.join()

    @staticmethod
    def carry_back(there, connection):
        try:
            while data := there.recv(4096):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def push(self, *arguments):
        return self.start("--store", self.path("author"), "sync", self.line.address, "--push",
                          *arguments)

    def assert_says_what_arrived(self, process, status):
        out, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, said)
        self.assertRegex(out.decode(), r"(?m)^sent [0-9,]+ entries with ")
        self.assertIn("next: run the same again to go on; what arrived there is kept\n",
                      said.decode())

    def assert_state(self, process, status):
        out, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, said)
        log, _ = map(json.loads, out.splitlines())
        self.assertEqual((log["state"], log["pushed"]), ("interrupted", False), log)
        self.assertEqual(log["missing"], "")
        rest, = log["unconfirmed"]
        self.assertTrue(rest["entries"].endswith("-3000"), rest)
        self.assertEqual(json.loads(said)["next"],
                         "run the same again to go on; what arrived there is kept")

    def test_that_the_line_ended_says_what_arrived(self):
        self.assert_says_what_arrived(self.push(), NETWORK)
        self.assert_state(self.push("--json"), NETWORK)
        done = self.sync_one("author", self.hub.address, "--push")
        self.assertEqual((done["state"], done["pushed"]), ("complete", True))

    def test_that_was_interrupted_says_what_arrived(self):
        for options, check in ([], self.assert_says_what_arrived), (["--json"], self.assert_state):
            process = self.push(*options)

            def interrupt(pushing=process):
                pushing.send_signal(signal.SIGINT)
                pushing.wait(timeout=30)

            self.cut = interrupt
            check(process, INTERRUPTED)


class OfSeveralLogs(NetworkScenario):
    def test_where_several_logs_are_refused_the_hint_accepts_each(self):
        author = self.new_log(["x"])
        self.new_log(["y"], "--log-id", 3, key=(self.path("me.key"), author))
        relay = self.relay("relay")
        said = self.error(NETWORK, "sync", relay.address, "--push")
        accepts = f"--accept {author}.0 --accept {author}.3"
        self.assertIn(f"next: start that relay with {accepts} besides; ", said)
        relay.end()
        relay = self.relay("relay", *accepts.split())
        self.out("sync", relay.address, "--push")

    def test_a_range_that_one_log_alone_has_says_which(self):
        author = self.new_log("abcdefghij")
        self.new_log("ab", "--log-id", 3, key=(self.path("me.key"), author))
        relay = self.relay("relay", "--accept-any")
        self.out("sync", relay.address, "--push")
        said = self.error(NOT_FOUND, "sync", relay.address, author, f"{author}.3", "--range", "5-9",
                          store="reader")
        self.assertIn(f"culm: sync: {author[:12]}.3: not all that is wanted is here\n", said)
        self.assertIn("next: run it again when the log has grown; --range fits "
                      f"{author[:12]}, of which all of it is here\n", said)


class DeclinedPush(NetworkScenario):
    def test_each_peer_that_declines_is_named(self):
        self.new_log(["x"])
        first, second = self.relay("first"), self.relay("second")
        said = self.run_culm("sync", first.address, "--also", second.address, "--push",
                             status=NETWORK)
        for relay in first, second:
            words = f"the peer at {relay.address} does not "
            self.assertIn(words + "take this log", said.stderr.decode())
            self.assertIn(words + "confirm that it holds 1 entry: 1; it does not take this log\n",
                          said.stdout.decode())
        self.assertIn("start these relays with --accept ", said.stderr.decode())

    def test_each_log_has_its_reason_also_where_another_peer_is_down(self):
        key = self.keygen()
        for log_id in range(3):
            self.run_culm("append", "--key", key[0], "--log-id", log_id, stdin=b"n", store="author")
        relay = self.relay()
        for also in [], ["--also", "127.0.0.1:1"]:
            said = self.run_culm("sync", relay.address, *also, "--push", store="author",
                                 status=NETWORK).stdout.decode()
            for name in key[1][:12], f"{key[1][:12]}.1", f"{key[1][:12]}.2":
                self.assertRegex(said, rf"(?m)^{name}: the peer.* does not confirm that it holds "
                                 "1 entry: 1; it does not take this log$")


if __name__ == "__main__":
    main()
