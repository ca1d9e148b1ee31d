"""What repair says of a damaged store is what is gone of it, and no more is gone than has to be."""

import random
import shutil

from rotten import PAGE, Rotten
from scenario import NOT_FOUND, STORE, main


def row_key(log, n):
    return log.to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"


class RepairCounts(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(300), key=self.key)
        large = random.Random(1).randbytes(200_000)
        self.out("append", "--key", self.key[0], "--log-id", "1", self.write("large", large))
        self.out("append", "--key", self.key[0], "--log-id", "1", "--lines",
                 stdin=b"".join(b"entry %d of another log\n" % n for n in range(40)))
        self.out("compact")
        self.data = self.place / "store/data.mdb"
        self.whole = self.data.read_bytes()

    def zero_pages(self, content, rows):
        for row in rows:
            place = content.find(row)
            while place != -1:
                page = place // PAGE * PAGE
                content[page:page + PAGE] = bytes(PAGE)
                place = content.find(row)

    def test_verify_has_a_line_for_each_log_also_where_a_page_is_damaged(self):
        content = bytearray(self.whole)
        self.zero_pages(content, [row_key(1, 150)])
        self.data.write_bytes(content)
        first, second = self.json_lines("verify", status=STORE)
        self.assertEqual((first["log"], first["ok"], first["error"]),
                         (self.author, False, "store_damaged"))
        self.assertEqual((second["log"], second["ok"]), (f"{self.author}.1", True))
        said = self.run_culm("verify", status=STORE).stdout.decode()
        self.assertIn(f"{self.author[:12]}    BAD   the store is damaged\n", said)
        self.assertIn(f"{self.author[:12]}.1  good  ", said)

    def test_a_file_that_cannot_be_put_in_its_place_was_not_written(self):
        content = bytearray(self.whole)
        self.zero_pages(content, [row_key(1, 150)])
        self.data.write_bytes(content)
        (self.place / "store/data.mdb.new").mkdir()
        done = self.run_culm("repair", status=STORE)
        self.assertEqual(done.stdout, b"")
        self.assertIn("next: a directory lies where", done.stderr.decode())
        self.assertEqual(self.data.read_bytes(), content)
        shutil.rmtree(self.path("store/data.mdb.new"))
        self.assertIn("wrote the file again",
                      self.run_culm("repair", status=NOT_FOUND).stdout.decode())


if __name__ == "__main__":
    main()
