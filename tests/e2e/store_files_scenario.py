"""What lies where a file of the store has to be, and stores that may not be written to."""

import os
import pathlib
import shutil
import socket
import subprocess

from relay_harness import NetworkScenario
from scenario import CULM, STORE, USAGE, main

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

    def test_a_file_is_no_store(self):
        self.write("file", "x")
        for place in "file", "file/below":
            for verb in (["ls"], ["verify"], ["repair"], ["append", "--key", self.key[0]],
                         ["sync", "127.0.0.1:1"]):
                self.assertIn("a store is a directory, and this is a file or lies below one\n"
                              "  next: name a directory with --store DIR",
                              self.error(USAGE, *verb, stdin=b"x", store=place))

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


class ReadOnly(NetworkScenario):
    """A store that this user may read, and not write to."""

    def setUp(self):
        super().setUp()
        self.new_log(["one"], key=self.keygen())
        self.store = self.path("store")

    def run_as(self, prefix, *arguments, status=STORE):
        done = subprocess.run([*prefix, CULM, *arguments], cwd=self.place, env=self.environment,
                              capture_output=True, timeout=100)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr.decode()

    def as_somebody(self):
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            self.skipTest("only root acts as somebody else")
        nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
        os.chmod(self.place, 0o755)
        if subprocess.run([*nobody, CULM, "--version"], capture_output=True).returncode != 0:
            self.skipTest("somebody else may not run it")
        for path in pathlib.Path(self.store).iterdir():
            os.chown(path, 65534, -1)
        return nobody

    def test_the_store_is_named_and_not_the_key_that_has_no_place_in_it(self):
        nobody = self.as_somebody()
        relay = self.relay("relay", "--accept-any")
        for mode in 0o755, 0o700:
            os.chmod(self.store, mode)
            for verb in ["sync", relay.address, "--push"], ["relay", "--listen", "127.0.0.1:0"]:
                said = self.run_as(nobody, *verb)
                self.assertIn(f"store {self.store}: the store could not be read or written "
                              "(Permission denied)\n  next: let this user write there", said)
        relay.end()

    def test_a_file_system_that_is_read_only_is_said_to_be(self):
        mount = f"mount --bind {self.store} {self.store} && mount -o remount,bind,ro {self.store}"
        prefix = ["unshare", "-rm", "bash", "-c", mount + ' && exec "$@"', "-"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
            self.skipTest("no namespace to mount the store in")
        self.run_as(prefix, "ls", status=0)
        relay = self.relay("relay", "--accept-any")
        for verb in (["append", "--key", "me.key"], ["sync", relay.address, "--push"], ["compact"]):
            said = self.run_as(prefix, *verb)
            self.assertIn(f"store {self.store}: the store could not be read or written (Read-only "
                          "file system)\n  next: the file system is mounted to be read only: mount",
                          said)
        relay.end()


if __name__ == "__main__":
    main()
