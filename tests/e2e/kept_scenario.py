"""Damaged files that repairs have kept: nothing else tells of a log of which nothing is left."""

import json
import random
import shutil

from rotten import PAGE, Rotten
from scenario import NOT_FOUND, main

LINES = 300
VERBS = ["ls"], ["verify"], ["repair"], ["repair", "--dry-run"]


class Kept(Rotten):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(self.lines(LINES), store="a")
        self.other = self.new_log(self.lines(5), key=self.keygen("b.key"), store="b")
        self.peer = self.relay("peer", "--accept-any")
        for store in "ab":
            self.out("sync", self.peer.address, "--push", store=store)
        self.environment["CULM_MARKS"] = self.path("marks-of-a-reader")
        self.out("sync", self.peer.address, self.author, self.other)
        self.kept = self.path("store/data.mdb.damaged")
        self.lose_other()

    def lose_other(self):
        """Each page that has anything of it, but for those that lead to all."""
        data = self.place / "store/data.mdb"
        content = bytearray(data.read_bytes())
        for at in range(2 * PAGE, len(content), PAGE):
            if bytes.fromhex(self.other) in content[at:at + PAGE]:
                content[at:at + PAGE] = random.Random(at).randbytes(PAGE)
        data.write_bytes(content)
        said = self.run_culm("repair", status=NOT_FOUND).stdout.decode()
        self.assertEqual(said.count("data.mdb.damaged"), 1, said)
        self.repaired_from = "repair", "--from", self.peer.address
        self.out(*self.repaired_from)

    def kept_files(self, *verb):
        """By both ways in which it says it."""
        lines = [json.loads(line) for line in self.out(*verb, "--json").splitlines()]
        return [line["file"] for line in lines if line["type"] == "kept_file"]

    def test_while_a_file_is_kept_it_is_said_what_for_and_until_when(self):
        self.assertNotIn(self.other, self.text("ls", "--full"))
        for verb in *VERBS, self.repaired_from:
            with self.subTest(verb=verb):
                self.assertEqual(self.kept_files(*verb), [self.kept])
                line = self.text(*verb).splitlines()[-1]
                self.assertTrue(line.startswith(f"a repair kept {self.kept}, as it may hold "), line)
                self.assertIn("`culm sync HOST:PORT LOG`", line)
                self.assertTrue(line.endswith(" you may delete it"), line)
        for verb in "ls", "verify", "repair":  # of one log that is not what is asked
            self.assertEqual(self.kept_files(verb, self.author), [])
        self.paste(line, "sync", **{"HOST:PORT": self.peer.address, "LOG": self.other})
        self.assertIn(self.other, self.text("ls", "--full"))
        self.assertEqual(self.kept_files("ls"), [self.kept])
        (self.place / self.kept).unlink()
        for verb in *VERBS, self.repaired_from:
            self.assertEqual(self.kept_files(*verb), [])
            self.assertNotIn("kept", self.text(*verb))

    def test_each_of_several_is_named(self):
        names = [self.kept, f"{self.kept}.2", f"{self.kept}.10"]
        for name in names[1:]:
            shutil.copy(self.kept, name)
        for verb in VERBS:
            self.assertEqual(self.kept_files(*verb), names)
            self.assertIn(f"repairs kept {', '.join(names)}, as they", self.text(*verb))
        self.assertIn(f"({', '.join(names)})", self.text("du"))


if __name__ == "__main__":
    main()
