"""An own log that lacks what its author mark tells of, as where the last commit is gone."""

import contextlib
import ctypes
import json
import os
import shutil
import struct

from rotten import PAGE, Rotten
from scenario import FORK, NETWORK, NOT_FOUND, main

LENGTH, LOST = 9, 10


class Opened:
    """How often a directory, "", and each file in it were opened, of late."""
    IN_OPEN = 0x20

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watched = libc.inotify_add_watch(self.descriptor, os.fsencode(directory), self.IN_OPEN)
        if watched < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def take(self):
        counts, events = {}, b""
        with contextlib.suppress(BlockingIOError):
            while True:
                events += os.read(self.descriptor, 1 << 16)
        while events:
            _, _, _, size = struct.unpack_from("iIII", events)
            name = events[16:16 + size].rstrip(b"\0").decode()
            counts[name] = counts.get(name, 0) + 1
            events = events[16 + size:]
        return counts


class OwnLost(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(LENGTH), key=self.key)
        self.peer = self.relay("peer", "--accept-any")
        self.sync_one("store", self.peer.address, "--push", self.author)

    def lose_last_commit(self, line):
        """Of an append; LMDB then goes by the other meta page, which is sound."""
        data = self.place / "store/data.mdb"
        before = data.read_bytes()[:2 * PAGE]
        self.out("append", "--key", self.key[0], "--lines", stdin=f"{line}\n".encode())
        after = data.read_bytes()[:2 * PAGE]
        changed = [n for n in (0, PAGE) if before[n:n + PAGE] != after[n:n + PAGE]]
        self.assertEqual(len(changed), 1)
        shutil.copytree(self.path("store"), self.path("whole"))
        os.remove(self.path("whole/peer.key"))
        with open(data, "r+b") as file:
            file.write(before)

    def assert_behind(self, store, count):
        """Said of a copy that lacks what was appended with another store, and is sound."""
        told = f"{count} {'entry' if count == 1 else 'entries'} behind: its author mark tells of "
        for verb in "ls", "verify":
            done = self.run_culm(verb, store=store)
            self.assertIn(told + str(LENGTH + 1), done.stdout.decode())
            self.assertNotIn(b"lost", done.stdout)
            self.assertIn(f"  next: {self.author[:12]} was last appended to in another store, "
                          "which has the rest: append there; where that one is lost, take the "
                          "rest from a peer before "
                          f"(`culm sync HOST:PORT {self.author}.0`), and where nobody has it "
                          "begin another log (`culm append --key FILE --log-id N`)\n",
                          done.stderr.decode())
            line = self.json(verb, store=store)
            self.assertEqual(line["published_elsewhere"], LENGTH + 1)
            self.assertNotIn("published", line)
            self.assertEqual(line["lost"], "")
        self.assertEqual(self.text("repair", store=store), "nothing is damaged\n")

    def test_an_older_backup_is_said_to_be_behind_until_it_took_the_rest(self):
        self.out("backup", self.path("restored"))
        self.assertNotIn("behind", self.text("ls", store="restored"))
        self.out("append", "--key", self.key[0], stdin=b"one more")
        self.sync_one("store", self.peer.address, "--push")
        self.assert_behind("restored", 1)
        self.assertNotIn("behind", self.text("ls") + self.text("verify"))
        shutil.rmtree(self.path("store"))
        append = "append", "--key", self.key[0]
        self.error(FORK, *append, stdin=b"x", store="restored")
        step = self.error(0, "verify", store="restored").split("`culm ")[1].split("`")[0]
        self.out(*step.replace("HOST:PORT", self.peer.address).split(), store="restored")
        self.assertNotIn("behind", self.text("ls", store="restored"))
        self.out(*append, stdin=b"goes on", store="restored")

    def test_of_several_that_are_behind_the_first_is_named(self):
        self.new_log(["x"], "--log-id", 1, key=self.key)
        self.out("backup", self.path("restored"))
        for number in range(2):
            self.out("append", "--key", self.key[0], "--log-id", number, stdin=b"one more")
        for verb in "ls", "verify":
            said = self.error(0, verb, store="restored").splitlines()[-1]
            self.assertRegex(said, f"^  next: {self.author[:12]} was last .*{self.author}.0`\\), "
                                   "and where nobody has it begin another log .*; "
                                   "then the same of the other logs, which `culm verify` names$")

    def marks(self):
        return {file.name: (file.read_bytes(), file.stat().st_mtime_ns)
                for file in (self.place / "marks").iterdir()}

    def test_an_own_log_whose_last_commit_is_gone_lacks_what_its_mark_tells_of(self):
        self.lose_last_commit("one more")
        told = f"its author mark tells of {LOST}, held up to {LENGTH}"
        marks = self.marks()
        step = self.assert_lost(str(LOST))
        self.assertIn(told, self.text("ls"))
        self.assertIn(told, self.run_culm("verify", status=NOT_FOUND).stdout.decode())
        for line in self.json("ls"), json.loads(
                self.run_culm("verify", "--json", status=NOT_FOUND).stdout):
            self.assertEqual(line["published"], LOST)
        refused = self.json("append", "--key", self.key[0], status=FORK, stdin=b"x")
        self.assertEqual((refused["error"], refused["next"]), ("author_mark_behind", step))
        self.assertEqual(self.marks(), marks)
        self.error(NETWORK, "repair", "--from", self.peer.address)
        with self.other_machine():
            self.sync_one("whole", self.peer.address, "--push", self.author)
        replaced, = self.json_lines("repair", "--from", self.peer.address)
        self.assertEqual((replaced["replaced_entries"], replaced["missing"]), (f"{LOST}", ""))
        self.assert_clean()
        self.out("append", "--key", self.key[0], stdin=b"goes on")

    def test_where_nobody_has_what_the_mark_tells_of_less_is_wanted(self):
        self.lose_last_commit("one more")
        self.paste_ways(self.assert_lost(str(LOST)))
        self.assert_clean()
        self.error(FORK, "append", "--key", self.key[0], stdin=b"x")
        self.assertNotIn("lost", self.text("ls"))

    def test_a_mark_that_cannot_be_compared_is_said_as_append_says_it(self):
        mark = self.place / "marks" / f"{self.author}.0.mark"
        good = mark.read_bytes()
        self.lose_last_commit("one more")
        # Of a store that only takes what another one on this machine appends nothing is lost.
        self.sync_one("reader", self.peer.address, self.author)
        self.assert_behind("reader", 1)
        behind = mark.read_bytes()
        mark.write_bytes(bytes(len(good)))
        for said in (self.json("append", "--key", self.key[0], status=FORK, stdin=b"x"),
                     json.loads(self.run_culm("verify", "--json", status=FORK).stderr)):
            self.assertEqual(said["error"], "author_mark_format")
            self.assertIn(f"author mark {mark} is damaged", said["message"])
        self.assertIn("the author mark is damaged", self.text("ls"))
        mark.unlink()
        self.assert_clean()
        mark.write_bytes(behind)  # as one that was carried along
        self.assert_lost(str(LOST))

    def test_marks_are_listed_once_for_all_logs_and_each_is_read_once(self):
        for number in range(1, 6):
            self.new_log(["more"], "--log-id", number, key=self.key)
        marks = {f"{self.author}.{number}.mark" for number in range(6)}
        opened = Opened(self.place / "marks")
        for verb in ["ls"], ["verify"], ["repair"]:
            self.out(*verb)
            self.assertEqual(opened.take(), {name: 1 for name in {"", *marks}}, verb)


if __name__ == "__main__":
    main()
