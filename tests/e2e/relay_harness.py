"""Nodes as processes of their own, for the scenarios with a network in them."""

import json
import os
import selectors
import signal
import socket
import subprocess
import time

from played_peer import Server
from scenario import CULM, HOST, Scenario

ENDS_WITHIN_SECONDS = 9  # less than handshakes and locks may take, which no end waits for


class Node:
    """A running `culm relay` or `culm sync --live`, and the lines of JSON that it prints."""

    def __init__(self, test, store, arguments):
        self.test = test
        self.store = test.path(store)
        self.log = test.path(f"{store}.stderr")
        self.received = b""
        self.heard = {}  # how often a text of the log was waited for
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [CULM, "--json", "--store", self.store, *map(str, arguments)], cwd=test.place,
                env=test.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        test.addCleanup(self.kill)

    def said(self):
        with open(self.log) as log:
            return log.read()

    def next_line(self, deadline):
        """The next line, or None when the output has ended."""
        descriptor = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if not selector.select(max(0, deadline - time.monotonic())):
                    self.test.fail(f"nothing came in time; {self.received}; {self.said()}")
                part = os.read(descriptor, 65536)
                if not part:
                    return None
                self.received += part
        line, self.received = self.received.split(b"\n", 1)
        return json.loads(line)

    def wait_for(self, seconds=30, **fields):
        """The next line that has these fields."""
        deadline = time.monotonic() + seconds
        while True:
            line = self.next_line(deadline)
            self.test.assertIsNotNone(line, self.said())
            if all(line.get(key) == value for key, value in fields.items()):
                return line

    def end(self, number=signal.SIGTERM, status=0):
        """Ends it as a person would; the rest of what it printed."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=ENDS_WITHIN_SECONDS)
        self.test.assertEqual(self.process.returncode, status, self.said())
        return [json.loads(line) for line in (self.received + output).splitlines()]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class NetworkScenario(Scenario):
    def relay(self, store="relay", *arguments, listen=f"{HOST}:0"):
        """A relay that is ready, with `peer` and `address`."""
        node = Node(self, store, ["relay", "--listen", listen, *arguments])
        ready = node.next_line(time.monotonic() + 30)
        self.assertIsNotNone(ready, node.said())
        self.assertEqual(ready["pid"], node.process.pid, ready)
        node.peer, node.address = ready["peer"], ready["address"]
        return node

    def nobody(self):
        """An address at which nobody listens."""
        held = socket.socket()
        self.addCleanup(held.close)
        held.bind((HOST, 0))
        return f"{HOST}:{held.getsockname()[1]}"

    def server(self, act, port=0):
        """Somebody else than `culm`, who does that with each connection (played_peer.py)."""
        server = Server(act, port)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def wait_until_said(self, node, text, seconds=30):
        """Until the log has one more line with `text` than when it was asked last."""
        node.heard[text] = node.heard.get(text, 0) + 1
        deadline = time.monotonic() + seconds
        while node.said().count(text) < node.heard[text]:
            self.assertLess(time.monotonic(), deadline, node.said())
            time.sleep(0.01)

    def live(self, store, *arguments):
        return Node(self, store, ["sync", "--live", *arguments])

    def sync(self, store, *arguments, status=0):
        """What `culm sync` says of each log, and of the whole."""
        lines = self.json_lines("sync", *arguments, store=store, status=status)
        *logs, whole = lines
        return logs, whole

    def sync_one(self, store, *arguments, **options):
        logs, _ = self.sync(store, *arguments, **options)
        self.assertEqual(len(logs), 1, logs)
        return logs[0]

    def push_lines(self, count, relay, name="me.key", store="author"):
        """A new author with a log of `count` entries, pushed to `relay`; (key file, author)"""
        key = self.keygen(name)
        self.new_log(self.lines(count), key=key, store=store)
        pushed = self.sync_one(store, relay.address, "--push", key[1])
        self.assertTrue(pushed["pushed"], pushed)
        return key

    @staticmethod
    def lines(count, start=1):
        return [f"line {n} of a log of some length" for n in range(start, start + count)]

    def printed(self, store, log, *arguments):
        return self.text("cat", log, "--lines", *arguments, store=store).splitlines()

    def assert_sound(self, *stores):
        for store in stores:
            self.out("verify", store=store)
