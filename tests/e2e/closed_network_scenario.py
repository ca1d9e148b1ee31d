"""An append asks peers of a closed network whether they hold more of the log, where it is told
which network that is; where it is not, it says how."""

import os
import shutil

from relay_harness import NetworkScenario
from scenario import FORK, OK, main

COUNT = 3


class ClosedNetwork(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.new_log(self.lines(COUNT), key=(self.key, self.author))
        self.network_key = self.write("a network key", "1" * 64)
        os.chmod(self.network_key, 0o600)

    def closed(self, *options):
        """A relay that holds the log, and one more entry of it than a backup of store and marks."""
        self.options = options
        self.address = self.relay("relay", "--accept-any", *options).address
        self.out("sync", self.address, "--push", *options, self.author)
        backup = self.path("backup")
        os.mkdir(backup)
        for name in ("store", "marks"):
            shutil.copytree(self.path(name), os.path.join(backup, name))
        self.append(b"behind the backup")
        self.out("sync", self.address, "--push", *options, self.author)
        for name in ("store", "marks"):
            shutil.rmtree(self.path(name))
            shutil.copytree(os.path.join(backup, name), self.path(name))

    def append(self, text, *arguments, status=OK):
        path = self.write("entry", text)
        return self.error(status, "append", "--key", self.key, path, *arguments)

    def assert_asks(self, option, placeholder, value):
        said = self.append(b"fork", "--gate", "required", status=FORK)
        self.assertIn("of another network", said)
        refused = self.paste(said, option, status=FORK, **{placeholder: value})
        self.assertIn(f"a peer holds the log up to seqnum {COUNT + 1}", refused)
        for gate in "ask", "required":
            self.append(b"fork", "--gate", gate, *self.options, status=FORK)
        self.out("sync", self.address, *self.options, self.author)
        self.append(b"no fork", "--gate", "required", *self.options)
        self.out("sync", self.address, "--push", *self.options)
        self.assertEqual(self.json("ls")["head"], COUNT + 2)

    def test_an_append_asks_in_a_named_one(self):
        self.closed("--network", "a garden")
        self.assert_asks("--network", "NETWORK", "'a garden'")

    def test_an_append_asks_in_one_with_a_key(self):
        self.closed("--network-key", self.network_key)
        self.assert_asks("--network-key", "FILE", f"'{self.network_key}'")

    def test_an_append_that_goes_on_says_how_to_ask(self):
        self.closed("--network-key", self.network_key)
        said = self.append(b"a branch")
        self.assertIn("none could be asked", said)
        self.assertIn("append asks it with the same option", said)
        refused = self.paste(said, "sync", status=FORK, FILE=f"'{self.network_key}'")
        self.assertIn("another entry", refused)


if __name__ == "__main__":
    main()
