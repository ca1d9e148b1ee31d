"""Peers that the store has synced with, and that are gone: what is pushed to another one moves."""

import shutil

from relay_harness import NetworkScenario
from scenario import FORK, NETWORK, OK, main


def say_nothing(connection):
    while connection.recv(65536):
        pass


class DeadPeers(NetworkScenario):
    """A log that two relays hold; a third is new. One of the two refuses, or both are mute."""

    def setUp(self):
        super().setUp()
        relays = [self.relay(name, "--accept-any") for name in ("one", "two")]
        self.key, self.author = self.push_lines(3, relays[0], store="store")
        self.sync_one("store", relays[1].address, "--push")
        self.dead = [relay.address for relay in relays]
        for relay in relays:
            relay.end()
        self.other = self.relay("other", "--accept-any").address
        self.out("backup", "copy")
        shutil.copytree(self.path("marks"), self.path("marks-copy"))

    def are_mute(self):
        for address in self.dead:
            self.server(say_nothing, int(address.rpartition(":")[2]))

    def restore(self, *names):
        for name, copy in ("store", "copy"), ("marks", "marks-copy"):
            if name in names:
                shutil.rmtree(self.path(name))
                shutil.copytree(self.path(copy), self.path(name))

    def append(self, *arguments):
        return self.error(OK, "append", "--key", self.key, "--wait", 1, "--lines", *arguments,
                          stdin=b"more\n")

    def assert_pushed(self, head, *arguments):
        done = self.run_culm("sync", self.other, "--push", "--json", *arguments)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(self.json("ls", f"{self.author}.0", store="other")["head"], head)

    def test_hold_up_nothing(self):
        self.assert_pushed(3)
        self.append()
        self.are_mute()
        self.append("--log-id", "1")
        self.assert_pushed(4)
        self.assertEqual(len(self.json_lines("ls", store="other")), 2)

    def test_several_are_forgotten_by_one_option(self):
        self.assertIn("--forget HOST:PORT...", self.text("help", "peers"))
        self.assertNotIn("--also HOST:PORT...", self.text("help", "sync"))
        said = self.text("peers", "--forget", *self.dead)
        self.assertEqual(said.count("forgot the peer at "), 2)
        self.assertEqual(self.json_lines("peers"), [])

    def test_are_named_where_the_store_alone_was_restored(self):
        self.restore("store")
        self.assertIn("none could be asked", self.append())
        self.paste(self.error(NETWORK, "sync", self.other, "--push"), "peers")
        self.assert_pushed(4)
        self.restore("store")
        self.error(FORK, "append", "--key", self.key, stdin=b"the mark knows of more")

    def test_are_named_where_they_alone_can_know_with_the_command_that_goes_on(self):
        self.restore("store", "marks")
        self.assertIn("none could be asked", self.append())
        failed = self.json("sync", self.other, "--push", status=NETWORK)
        one, two = self.dead
        self.assertIn(f"peer {one} does not say either: nobody listens there (connection "
                      f"refused); nor does {two}", failed["message"])
        forget = f"culm peers --forget {one} --forget {two}"
        self.assertIn(f"where these peers are gone for good, `{forget}` asks them no more, and the "
                      "same sync goes on", failed["next"])
        self.are_mute()
        said = self.error(NETWORK, "sync", self.other, "--push")
        self.assertIn(f"`{forget}`", said)
        self.assertEqual(self.json_lines("ls", store="other"), [])
        self.assertEqual(self.paste(said, "peers"), "".join(
            f"forgot the peer at {address}\n" for address in sorted(self.dead)))
        self.assert_pushed(4)

    def test_are_named_beside_a_node_as_well(self):
        self.restore("store", "marks")
        self.append()
        self.relay("store")
        said = self.error(NETWORK, "sync", self.other, "--push")
        self.assertIn(f"peer {self.dead[0]} does not say either", said)
        self.paste(said, "peers")
        self.assert_pushed(4)


if __name__ == "__main__":
    main()
