"""Why a sync fails: each cause is brought about by real processes, and told as what it is."""

import json
import os
import resource
import selectors
import shutil
import socket
import subprocess
import unittest

from played_peer import Channel
from relay_harness import NetworkScenario
from scenario import CULM, HOST, LOCKED, NETWORK, STORE, USAGE, main

AUTHOR = "0" * 64


def pump(one, other):
    """Carries bytes between two sockets until one of them ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)
                if not data:
                    return
                key.data.sendall(data)


def answer_in_version(version):
    """Answers a caller as a peer that speaks another version of the protocol."""

    def act(connection):
        peer = Channel(connection)
        peer.send_bytes(bytes([0x93, 0, version, 0xa4]) + b"test")
        while peer.stream.read(4096):
            pass

    return act


class Causes(NetworkScenario):
    def network_key(self, name, digit):
        path = self.write(name, digit * 64)
        os.chmod(path, 0o600)
        return path

    def cause(self, address, reason, words, step, *arguments, status=NETWORK, store="reader"):
        """The failure of a sync, in words and for programs; both say the same."""
        said = self.error(status, "sync", address, AUTHOR, *arguments, store=store)
        self.assertIn(words, said)
        self.assertIn("next: ", said)
        self.assertIn(step, said.split("next: ")[1])
        done = self.run_culm("sync", address, AUTHOR, *arguments, "--json", status=status,
                             store=store)
        self.assertIn(f'"{reason}"'.encode(), done.stdout + done.stderr)
        return said

    def test_nobody_listens(self):
        self.cause(self.nobody(), "network", "nobody listens there", "start `culm relay`")

    def test_a_name_that_leads_nowhere(self):
        self.cause("no.such.host.invalid:7474", "address", "no address is known for the name",
                   "check the name")

    def test_a_proxy_with_nothing_behind_it(self):
        server = self.server(lambda connection: None)
        said = self.cause(server.address, "peer_hung_up", "by a proxy with nothing behind it",
                          "runs behind that address")
        self.assertNotIn("is full", said)

    def test_something_else_answers(self):
        def answer(connection):
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            connection.recv(4096)

        said = self.cause(self.server(answer).address, "peer_foreign", "is no culm peer",
                          "check the address")
        self.assertNotIn("--network", said)

    def test_something_that_says_nothing(self):
        server = self.server(lambda connection: connection.recv(1) and connection.recv(4096) and
                             connection.recv(4096))
        said = self.error(NETWORK, "sync", server.address, AUTHOR, store="reader")
        self.assertIn("no handshake within 10 seconds", said)
        self.assertIn("such as a web server that waits for a request", said)

    def test_something_that_says_nothing_until_the_time_is_over(self):
        with socket.create_server((HOST, 0)) as silent:
            address = f"{HOST}:{silent.getsockname()[1]}"
            step = "  next: check the address, and that `culm relay` runs behind it\n"
            for option, words in (("--timeout", f"peer {address}: nothing has moved for 1.00 s"),
                                  ("--deadline", "not done within 1.00 s")):
                said = self.error(NETWORK, "sync", address, AUTHOR, option, 1, store="reader")
                self.assertEqual(said, f"culm: sync: {words}: the peer has not answered\n{step}")

    def test_another_network(self):
        relay = self.relay("relay", "--network", "garden")
        said = self.cause(relay.address, "peer_network", "is of another network (--network)",
                          "the same --network, or neither of them any")
        self.assertNotIn("full", said)
        relay.end()

    def test_another_version(self):
        server = self.server(answer_in_version(99))
        self.cause(server.address, "protocol_version", "speaks another protocol version",
                   "the same version of culm")

    def test_another_network_key(self):
        first, second = self.network_key("a", "1"), self.network_key("b", "2")
        relay = self.relay("relay", "--network-key", first)
        said = self.cause(relay.address, "peer_refused", "is of another network (--network, --network-key)",
                          "check --network and --network-key of both sides", "--network-key", second)
        self.assertNotIn("full", said)
        self.cause(relay.address, "peer_hung_up", "another network (--network, --network-key)",
                   "and --network and --network-key of both sides")
        relay.end()
        # The wire does not tell which of them is another.
        relay = self.relay("relay", "--network-key", first, "--network", "fam")
        for network in [], ["--network", "famm"]:
            self.cause(relay.address, "peer_hung_up", "another network (--network, --network-key)",
                       "and --network and --network-key of both sides", "--network-key", first,
                       *network)
        relay.end()
        open_relay = self.relay("open")
        self.cause(open_relay.address, "peer_hung_up", "another network (--network, --network-key)",
                   "and --network and --network-key of both sides", "--network-key", second)
        open_relay.end()

    def test_another_peer_key(self):
        relay = self.relay()
        self.cause(relay.address, "peer_unexpected", "is not the peer that --peer names",
                   "what `culm relay` prints", "--peer", AUTHOR)
        relay.end()

    def test_a_copy_of_the_store(self):
        relay = self.relay()
        os.mkdir(self.path("copy"))
        shutil.copy(self.path("relay/peer.key"), self.path("copy/peer.key"))
        self.cause(relay.address, "peer_self", "has the same peer key as this store",
                   "delete peer.key in the copy", store="copy")
        relay.end()

    def test_a_relay_without_room_for_another_session(self):
        relay = self.relay("relay", "--accept-any", "--sessions", 1)
        _, author = self.push_lines(3, relay)
        self.live("holder", relay.address, author).wait_for(event="caught_up")
        said = self.cause(relay.address, "peer_full", "is full", "try again later")
        self.assertNotRegex(said, "network|no culm peer")
        relay.end()

    def test_a_relay_without_room_for_another_handshake(self):
        relay = self.relay("relay", "--handshakes-per-address", 1)
        host, port = relay.address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as first:
            with socket.create_connection((host, int(port)), timeout=30):
                self.assertEqual(first.recv(16), b"\0\0")
                self.assertEqual(first.recv(16), b"")

        def take_the_place(connection):
            """Passes on no word of the caller before somebody else has come."""
            with socket.create_connection((host, int(port))) as relayed:
                with socket.create_connection((host, int(port))):
                    pump(connection, relayed)

        said = self.cause(self.server(take_the_place).address, "peer_full", "is full",
                          "try again later")
        self.assertNotRegex(said, "network|no culm peer")
        relay.end()

    def test_a_disk_of_this_side_without_room(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(5000, relay)
        self.new_log(["one"], key=self.keygen("other.key"), store="reader")
        size = os.path.getsize(self.path("reader/data.mdb")) + (64 << 10)
        limit = lambda: resource.setrlimit(  # noqa: E731
            resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        said = self.error(STORE, "sync", relay.address, author, store="reader", preexec_fn=limit)
        self.assertIn(f"store {self.path('reader')}: the disk or the quota", said)
        self.assertNotIn("peer", said)
        self.assertIn("next: free space on the disk", said)
        relay.end()

    def full_relay(self):
        """A relay whose disk takes but little more."""
        self.new_log(["one"], key=self.keygen("other.key"), store="relay")
        size = os.path.getsize(self.path("relay/data.mdb")) + (64 << 10)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            return self.relay("relay", "--accept-any")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def test_a_disk_of_the_peer_without_room(self):
        relay = self.full_relay()
        self.new_log(self.lines(5000), key=self.keygen(), store="author")
        said = self.error(NETWORK, "sync", relay.address, "--push", store="author")
        self.assertIn("the disk of the peer or its quota is full", said)
        self.assertIn("next: who runs the peer must free space", said)
        self.assertNotRegex(said, "what came is kept|closed the connection")
        failure = self.json("sync", relay.address, "--push", store="author", status=NETWORK)
        self.assertEqual(failure["error"], "peer_store_full")
        live = self.live("author", relay.address, "--push")
        line = live.wait_for(event="disconnected", error="peer_store_full")
        self.assertFalse(line["given_up"])
        live.kill()
        relay.kill()
        self.assertEqual(relay.said().count("not taken: "), 1, relay.said())

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts a small disk")

    def test_a_store_of_the_peer_that_is_gone(self):
        relay = self.relay("relay", "--accept-any")
        key = self.push_lines(3, relay)
        os.rename(self.path("relay/data.mdb"), self.path("data.elsewhere"))
        for _ in range(2):
            self.out("append", "--key", key[0], "--lines", stdin=b"more\n", store="author")
            said = self.error(NETWORK, "sync", relay.address, "--push", store="author")
            self.assertIn("the store of the peer fails", said)
            self.assertIn("next: who runs the peer must look at its log", said)
        failure = self.json("sync", relay.address, "--push", store="author", status=NETWORK)
        self.assertEqual(failure["error"], "peer_store")
        gone = "there is no store; next: look whether it and its disk"
        self.wait_until_said(relay, gone)
        self.assertEqual(relay.said().count(gone), 1, relay.said())
        self.assertIsNone(relay.process.poll())

    def test_a_relay_whose_store_was_removed_says_so_and_does_not_end_well(self):
        for is_asked in True, False:
            relay = self.relay("relay", "--accept-any")
            key = self.push_lines(3, relay, name=f"{is_asked}.key")
            shutil.rmtree(self.path("relay"))
            if is_asked:
                self.out("append", "--key", key[0], "--lines", stdin=b"more\n", store="author")
                said = self.error(NETWORK, "sync", relay.address, "--push", store="author")
                self.assertIn("who runs the peer must look at its log, which says why", said)
                self.assertNotIn("culm repair", said)
                self.wait_until_said(relay, "its files are gone, so nothing more is taken")
            relay.end(status=STORE)
            self.assertIn("its files were taken away while the relay ran on it", relay.said())
            self.assertIn("put them back, from a backup where there is one", relay.said())

    def test_a_disk_of_this_side_without_room_for_a_file(self):
        self.keygen("other.key")
        os.mkdir(self.path("disk"))
        for size in range(4, 100, 4):  # whichever write it is that finds no room
            script = ("mount -t tmpfs -o size=$1k none disk && head -c 4096 /dev/zero >disk/used && "
                      "exec \"$CULM\" --store disk/store append --key other.key")
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, "-", str(size)],
                                  input=b"x", cwd=self.place, stderr=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env={**self.environment, "CULM": CULM})
            said = done.stderr.decode()
            if "permission denied" in said.lower() or "not permitted" in said.lower():
                self.skipTest(said)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, STORE, said)
            self.assertIn("the disk or the quota of the store is full", said)
        self.assertGreater(size, 4)
        self.assertEqual(done.returncode, 0, said)

    def test_a_store_that_cannot_be_made(self):
        self.write("file", "")
        relay = self.relay()
        said = self.error(USAGE, "sync", relay.address, AUTHOR, store="file/store")
        self.assertIn("file/store", said)
        self.assertIn("next: name a directory", said)
        # Before anything is fetched.
        said = self.error(STORE, "sync", relay.address, AUTHOR, store="/proc/store")
        self.assertIn("No such file or directory", said)
        self.assertIn("next: name a directory elsewhere", said)
        relay.end()

    def test_a_relay_that_cannot_listen(self):
        relay = self.relay()
        said = self.error(NETWORK, "relay", "--listen", relay.address, store="other")
        self.assertEqual(said, f"culm: relay: --listen {relay.address}: cannot listen there: Address "
                         "already in use\n  next: another program, perhaps another relay, listens "
                         "there: end it, or listen at another port\n")
        said = self.error(NETWORK, "relay", "--listen", "192.0.2.1:7474", store="other")
        self.assertIn("next: listen at an address of this machine", said)
        said = self.error(LOCKED, "relay", "--listen", "127.0.0.1:0", store="relay")
        self.assertIn("next: end it if it is a node, else wait for it", said)
        relay.end()


class LiveGoesOn(NetworkScenario):
    server = Causes.server
    network_key = Causes.network_key

    def wait_for_cause(self, reader, reason, words):
        line = reader.wait_for(event="disconnected", error=reason)
        self.assertIn(words, line["message"])
        self.assertFalse(line["given_up"])

    def test_whatever_answers_first(self):
        """Nobody, a proxy, a web server, a full relay; then the relay itself."""
        with socket.create_server((HOST, 0)) as taken:  # nobody else can take it meanwhile
            port = taken.getsockname()[1]
        reader = self.live("reader", f"{HOST}:{port}", AUTHOR)
        self.wait_for_cause(reader, "network", "nobody listens there")

        def answer(connection):
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            connection.recv(4096)

        for act, reason, words in ((lambda connection: None, "peer_hung_up", "a proxy"),
                                   (answer, "peer_foreign", "no culm peer")):
            server = self.server(act, port)
            self.wait_for_cause(reader, reason, words)
            server.shutdown()
            server.server_close()
        listen = f"{HOST}:{port}"
        relay = self.relay("relay", "--sessions", 1, listen=listen)
        reader.wait_for(event="want_denied")
        relay.end()
        # What is served in the end is not denied.
        relay = self.relay("granted", "--accept-any", listen=listen)
        _, author = self.push_lines(3, relay)
        relay.end()
        again = self.relay("empty")
        denied = self.live("other", again.address, author, "--also", listen)
        denied.wait_for(event="want_denied")
        relay = self.relay("granted", "--accept-any", listen=listen)
        denied.wait_for(event="caught_up", head=3)
        self.assertEqual(denied.end()[-2]["state"], "live")
        lines = reader.end(status=NETWORK)
        self.assertEqual(lines[-2]["state"], "denied")
        relay.end(), again.end()

    def test_a_full_relay_that_gets_room(self):
        relay = self.relay("relay", "--accept-any", "--sessions", 1)
        _, author = self.push_lines(3, relay)
        holder = self.live("holder", relay.address, author)
        holder.wait_for(event="caught_up")
        reader = self.live("reader", relay.address, author)
        self.wait_for_cause(reader, "peer_full", "is full")
        holder.end()
        reader.wait_for(event="caught_up")
        reader.end()

    def test_a_full_disk_that_gets_room(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(5000, relay)
        self.new_log(["one"], key=self.keygen("other.key"), store="reader")
        size = os.path.getsize(self.path("reader/data.mdb")) + (64 << 10)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            reader = self.live("reader", relay.address, author)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.wait_for_cause(reader, "store_full", "the disk or the quota")
        resource.prlimit(reader.process.pid, resource.RLIMIT_FSIZE, before)
        reader.wait_for(event="caught_up", head=5000)
        reader.end()
        self.assert_sound("reader")

    def test_but_not_where_the_handshake_tells_that_it_cannot_be_mended(self):
        relay = self.relay("relay", "--network", "garden")
        for reason, others in (("peer_network", ()),
                               ("peer_unexpected", ("--network", "garden", "--peer", AUTHOR))):
            reader = self.live("reader", relay.address, AUTHOR, *others)
            self.assertTrue(reader.wait_for(event="disconnected", error=reason)["given_up"])
            self.assertEqual(reader.process.wait(30), NETWORK)
        relay.end()

    def test_the_end_says_why_no_peer_is_there(self):
        nobody = self.nobody()
        garbage = self.server(lambda connection: connection.sendall(b"HTTP/1.1 502 Bad\r\n\r\n"))
        relay = self.relay("relay", "--accept-any", "--sessions", 1)
        _, author = self.push_lines(3, relay)
        holder = self.live("holder", relay.address, author)
        holder.wait_for(event="caught_up")
        for address, reason, words, step in (
                (nobody, "network", "nobody listens there", "start `culm relay` there"),
                (garbage.address, "peer_foreign", "no culm peer", "check the address"),
                (relay.address, "peer_full", "is full", "--sessions"),
                ("no.such.host.invalid:7", "address", "no address is known", "check the name")):
            said = self.error(NETWORK, "sync", address, AUTHOR, "--live", "--deadline", 3, "--json",
                              store="reader")
            failure = json.loads(said.splitlines()[-1])
            self.assertEqual(failure["error"], reason)
            self.assertEqual(failure["about"], f"peer {address}")
            self.assertIn("not done within 3.00 s: ", failure["message"])
            self.assertIn(words, failure["message"])
            self.assertIn(step, failure["next"])
        holder.end(), relay.end()


if __name__ == "__main__":
    main()
