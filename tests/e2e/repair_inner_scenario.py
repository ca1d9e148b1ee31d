"""Stores of which the pages are lost that lead to the rest, and whose leaves are whole."""

import itertools
import json

from rotten import PAGE, Rotten
from scenario import NOT_FOUND, OK, STORE, main

LINES = 300


class InnerPages(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(LINES), key=self.key)
        self.out("append", "--key", self.key[0], "--log-id", "1", "--lines",
                 stdin=b"".join(b"entry %d of another log\n" % n for n in range(40)))
        self.out("delete", self.author, "--payloads", "--range", "5-9")
        self.data = self.place / "store/data.mdb"
        self.whole = self.data.read_bytes()
        meta = self.newest_meta(self.whole)
        self.free_root, self.root = (int.from_bytes(meta[at:at + 8], "little") for at in (80, 128))

    def lose(self, *pages):
        content = bytearray(self.whole)
        for page in pages:
            content[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
        self.data.write_bytes(content)

    def assert_mended(self, entries):
        """As the words of each verb say that reads."""
        for verb in (["verify"], ["ls"], ["cat", self.author], ["log", self.author],
                     ["export", self.author, "--jsonl"], ["append", "--key", self.key[0]]):
            said = self.error(STORE, *verb, stdin=b"x")
            self.assertIn("repair --dry-run` says what is damaged", said)
        dry, done = (json.loads(self.run_culm("repair", *dry, "--json", status=(OK, NOT_FOUND))
                                .stdout.splitlines()[0]) for dry in (["--dry-run"], []))
        self.assertEqual({**dry, "type": "written_again"}, done)
        logs = {log["log"]: log for log in self.json_lines("ls")}
        self.assertEqual((logs[self.author]["entries"], logs[self.author + ".1"]["entries"]), entries)
        self.run_culm("verify", status=(OK, NOT_FOUND))
        return done, logs[self.author]

    def test_all_is_found_where_any_two_that_lead_to_others_are_lost(self):
        free = {int.from_bytes(self.whole[at:at + 8], "little")
                for at in range(self.free_root * PAGE, (self.free_root + 1) * PAGE, 8)}
        branches = [at // PAGE for at in range(2 * PAGE, len(self.whole), PAGE)
                    if self.whole[at + 10] == 1 and at // PAGE not in free]
        self.assertGreater(len(branches), 0)
        for lost in itertools.combinations([self.root, self.free_root, *branches], 2):
            with self.subTest(lost=lost):
                self.lose(*lost)
                done, log = self.assert_mended((LINES, 40))
                self.assertLessEqual(done["pages"], 2)
                self.assertEqual((log["payloads"], log["payloads_deleted"]), (LINES - 5, 5))

    def test_logs_that_may_be_older_are_named_with_what_undoes_that(self):
        self.lose(0, 1)
        self.assertEqual(self.assert_mended((LINES, 40))[0]["may_be_undone"],
                         [self.author, self.author + ".1"])
        self.lose(self.root, self.free_root)
        said = self.run_culm("repair", status=NOT_FOUND).stdout.decode()
        self.assertIn("at least 2 pages of it are damaged", said)
        self.assertIn(f"forget {self.author[:12]}.1`)", said)
        self.out("forget", f"{self.author[:12]}.1", "--own")

    def test_the_damaged_file_is_kept_and_counted_until_somebody_deletes_it(self):
        self.assertEqual(self.json("du")["damaged_file_bytes"], 0)
        self.lose(self.root)
        damaged = self.data.read_bytes()
        kept = self.place / "store/data.mdb.damaged"
        self.assertIn(f"would keep the damaged file as {kept},", self.text("repair", "--dry-run"))
        self.assertFalse(kept.exists())
        self.assertIn(f"\nkept the damaged file as {kept},", self.run_culm(
            "repair", status=(OK, NOT_FOUND)).stdout.decode())
        for verb in ["compact"], ["backup", "copy"], ["append", "--key", self.key[0]]:
            self.out(*verb, stdin=b"x")
        self.assertEqual(kept.read_bytes(), damaged)
        self.assertEqual(self.json("du")["damaged_file_bytes"], len(damaged))
        self.assertIn("data.mdb.damaged", self.text("du"))
        self.assertFalse((self.place / "copy/data.mdb.damaged").exists())

    def test_the_leaves_before_the_end_are_found_where_that_is_cut_off(self):
        for pages in 1, 2, 3, 4:
            with self.subTest(pages=pages):
                self.data.write_bytes(self.whole[:-pages * PAGE])
                self.assertEqual(self.run_culm("ls", status=(OK, STORE)).returncode, STORE)
                self.run_culm("repair", status=(OK, NOT_FOUND))
                self.assertGreaterEqual(self.json_lines("ls")[0]["entries"], LINES - 30)
                self.run_culm("verify", status=(OK, NOT_FOUND))


if __name__ == "__main__":
    main()
