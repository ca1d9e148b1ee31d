"""What lies where a file of the store has to be."""

import os
import pathlib
import socket

from relay_harness import NetworkScenario
from scenario import STORE, main

FILES = ("data.mdb", "lock.mdb", "writer.lock", "staging.lock", "reserve", "origin", "data.mdb.new")


def bind(path):
    """A socket; its name may be too long to be bound from elsewhere."""
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(pathlib.Path(path).parent)
        made.bind(pathlib.Path(path).name)
        os.chdir(before)


class OddFiles(NetworkScenario):
    """A directory, a pipe or a socket: it is named, and nobody waits for its other end."""

    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(["one", "two"], key=self.key)

    def replace(self, name, make):
        path = self.place / "store" / name
        path.unlink(missing_ok=True)
        make(path)
        return path

    def assert_refused(self, name, kind):
        for verb in (["ls"], ["verify"], ["repair"], ["repair", "--dry-run"], ["compact"],
                     ["append", "--key", self.key[0]], ["sync", "127.0.0.1:1"],
                     ["relay", "--listen", "127.0.0.1:0"]):
            said = self.error(STORE, *verb, stdin=b"x")
            self.assertIn(f"store {self.path('store')}: {name} in it is a {kind}, where a regular "
                          "file has to be\n  next: ", said)

    def test_is_named_in_place_of_the_data(self):
        for make, kind in (os.mkdir, "directory"), (bind, "socket"), (os.mkfifo, "pipe"):
            path = self.replace("data.mdb", make)
            self.assert_refused("data.mdb", kind)
            os.rmdir(path) if kind == "directory" else os.remove(path)
        os.symlink("/dev/null", path)
        said = self.error(STORE, "ls")
        self.assertIn("data.mdb in it is a device", said)
        self.assertIn("next: put the file that held the logs back in its place", said)

    def test_is_named_in_place_of_any_file_and_moved_away_as_the_words_say(self):
        for name in FILES[1:]:
            for make, kind in (os.mkdir, "directory"), (os.mkfifo, "pipe"):
                path = self.replace(name, make)
                said = self.error(STORE, "append", "--key", self.key[0], stdin=b"x")
                self.assertIn(f"{name} in it is a {kind}", said)
                self.assertIn(f"next: move {path} away and run the same again", said)
                self.assertEqual(self.json("ls", status=STORE)["error"], "store_io")
                os.rename(path, self.path(f"away-{name}-{kind}"))
                self.out("append", "--key", self.key[0], stdin=b"x")
        self.out("verify")

    def test_a_pipe_in_place_of_a_mark_is_not_waited_for(self):
        mark = self.place / "marks" / f"{self.author}.0.mark"
        mark.unlink()
        os.mkfifo(mark)
        self.out("ls")
        self.out("verify")


if __name__ == "__main__":
    main()
