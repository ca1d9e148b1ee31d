"""A peer that is played, message for message: one that no honest program would be."""

import contextlib
import hashlib
import os
import socketserver
import threading

from scenario import HOST  # which makes tests/interop known

import channel  # of tests/interop, as the next
import messages


class Server(socketserver.ThreadingTCPServer):
    """Does `act` with each connection, which is closed when that returns."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, act, port=0):
        self.act = act
        super().__init__((HOST, port), None)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()

    @property
    def address(self):
        return f"{HOST}:{self.server_address[1]}"

    def finish_request(self, request, _):
        with contextlib.suppress(OSError):
            self.act(request)


class Channel:
    """The side of the one that is called."""

    def __init__(self, connection):
        address = repr(connection.getsockname()).encode()
        own = hashlib.blake2b(address, digest_size=32).digest()  # the same peer each time
        ephemeral = os.urandom(32)
        self.connection, self.stream = connection, connection.makefile("rb")
        self.received, self.counters = b"", [0, 0]
        said = channel.Transcript(b"culm/1\0" + bytes(32), None)
        caller = self.read_unit()
        said.mix_hash(caller)
        said.mix_hash(b"")
        second = said.ephemeral(ephemeral)
        said.mix_key(channel.x25519(ephemeral, caller))
        second += said.sealed(channel.public(own))
        said.mix_key(channel.x25519(own, caller))
        second += said.sealed(b"")
        connection.sendall(channel.framed(second))
        third = self.read_unit()
        peer = self.opened(said.key, said.counter, third[:48])
        said.mix_hash(third[:48])
        said.mix_key(channel.x25519(ephemeral, peer))
        self.keys = [key[:32] for key in channel.hkdf(said.chaining_key, b"", 2)]

    @staticmethod
    def opened(key, counter, sealed):
        """The caller is `culm`: its tags are not looked at."""
        return channel.chacha20(key, 1, bytes(4) + counter.to_bytes(8, "little"), sealed[:-16])

    def read(self, size):
        data = self.stream.read(size)
        if len(data) < size:
            raise ConnectionError
        return data

    def read_unit(self):
        return self.read(int.from_bytes(self.read(2), "big"))

    def send_bytes(self, message):
        frame = len(message).to_bytes(4, "big") + message
        self.connection.sendall(
            channel.framed(channel.seal(self.keys[1], self.counters[1], b"", frame)))
        self.counters[1] += 1

    def send(self, kind, **fields):
        self.send_bytes(messages.encode({"type": kind, **fields}))

    def receive(self):
        while True:
            size = 4 + int.from_bytes(self.received[:4], "big")
            if 4 < size <= len(self.received):
                message, self.received = self.received[4:size], self.received[size:]
                return messages.decode(message)
            self.received += self.opened(self.keys[0], self.counters[0], self.read_unit())
            self.counters[0] += 1


def claim_a_head(head):
    """Says that it holds each log up to `head`, and brings nothing."""

    def act(connection):
        peer = Channel(connection)
        peer.send("hello", version=2, agent="played")
        while True:
            message = peer.receive()
            if message["type"] == "ping":
                peer.send("pong", nonce=message["nonce"])
            if message["type"] != "want":
                continue
            peer.send("have", author=message["author"], log_id=message["log_id"], head=head,
                      head_hash="ab" * 64 if head else "00" * 64,
                      held=[[1, head]] if head else [], payloads=[])
            peer.send("quote", want=message["id"], entries=1 if head else 0, certificate_entries=0,
                      payload_bytes=0, wire_bytes=100, flags=[])
            peer.send("done", want=message["id"], reason=0)

    return act
