"""What repair says of a damaged store is what is gone of it, and no more is gone than has to be."""

import json
import random
import re
import shutil

from rotten import PAGE, Rotten
from scenario import NOT_FOUND, OK, STORE, main


def seqnums(ranges):
    found = set()
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


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

    def held(self):
        return {log["log"]: seqnums(log["held"]) for log in self.json_lines("ls")
                if log["type"] == "log"}

    def repair(self, *arguments, dry=False):
        """Its lines, and what they say is lost: named entries, others, of which nothing is left."""
        done = self.run_culm("repair", *arguments, "--json", *["--dry-run"][:dry],
                             status=(OK, NOT_FOUND))
        lines = self.parse_lines(done.stdout)
        if dry:
            sums = [line for line in lines if line["type"] == "would_lack"]
            return lines, *[sums[0][key] if sums else 0
                            for key in ("lost_count", "of_unknown_log_count")]
        said = json.loads(done.stderr)["message"] if done.stderr else ""
        lost = re.search(r"lost here: (\d+) entr(?:y|ies)(?! of| that)", said)
        rows = re.search(r"(\d+) entr(?:y|ies) of which nothing else is left", said)
        return lines, *[int(found[1]) if found else 0 for found in (lost, rows)]

    def zero_pages(self, content, rows):
        for row in rows:
            place = content.find(row)
            while place != -1:
                page = place // PAGE * PAGE
                content[page:page + PAGE] = bytes(PAGE)
                place = content.find(row)

    def state_row(self):
        return bytes.fromhex(self.author) + bytes(8) + b"\x03"

    def assert_said_what_is_gone(self, before):
        """Of a repair that is done now, and again."""
        _, *foreseen = self.repair(dry=True)
        lines, lost, rows = self.repair()
        self.assertEqual(foreseen, [lost, rows], lines)
        after = self.held()
        gone = {(log, n) for log, held in before.items() for n in held - after.get(log, set())}
        said = {(line["log"], n) for line in lines if line["type"] in ("dropped", "lost")
                for n in seqnums(line.get("damaged_entries", line.get("missing")))}
        untold = {(line["log"], n) for line in lines
                  for n in seqnums(line.get("lost_or_never_held", ""))}
        self.assertEqual({one for one in gone if one[0] in after} - said - untold, set(), lines)
        self.assertEqual((said - gone, len(gone) - len(said)), (set(), rows), lines)
        self.assertEqual(lost, len(said), lines)
        done = self.run_culm("verify", "--json", status=(OK, NOT_FOUND))
        lines = self.parse_lines(done.stdout)
        verdicts = [line for line in lines if line["type"] == "verdict"]
        self.assertEqual({(line["log"], n) for line in verdicts for n in seqnums(line["lost"])},
                         said, verdicts)
        again, *of_again = self.repair()
        self.assertEqual(of_again, [lost, 0], again)
        self.assertEqual([line for line in again if line.get("damaged_entries")], [])
        return lines

    def test_what_it_says_is_lost_is_what_is_gone_wherever_the_damage_lies(self):
        before = self.held()
        pages = range(2, len(self.whole) // PAGE)
        for seed in range(14):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                content = bytearray(self.whole)
                for _ in range(chance.choice((1, 2, 4))):
                    page = chance.choice(pages) * PAGE
                    how = chance.choice(("bits", "bits", "zeros", "random"))
                    if how == "bits":
                        for _ in range(chance.choice((1, 4, 20))):
                            content[chance.randrange(2 * PAGE, len(content))] ^= (
                                1 << chance.randrange(8))
                    else:
                        content[page:page + PAGE] = (
                            bytes(PAGE) if how == "zeros" else chance.randbytes(PAGE))
                self.data.write_bytes(content)
                is_bad = self.run_culm("verify", status=(OK, STORE)).returncode == STORE
                lines = self.assert_said_what_is_gone(before)
                self.assertEqual({line["type"] for line in lines} == {"sound"}, not is_bad, lines)

    def test_a_row_whose_length_is_damaged_takes_no_other_with_it(self):
        before = self.held()
        for n in 20, 77, 150, 299:
            for bit in 1, 3, 6:
                with self.subTest(entry=n, bit=bit):
                    content = bytearray(self.whole)
                    content[content.find(row_key(1, n)) - 8] ^= 1 << bit
                    self.data.write_bytes(content)
                    self.assert_said_what_is_gone(before)
                    self.assertLessEqual(before[self.author] - self.held()[self.author], {n})

    def test_nothing_is_lost_where_only_the_place_of_the_rows_of_a_page_is_damaged(self):
        before = self.held()
        for n in 20, 150:
            content = bytearray(self.whole)
            content[content.find(row_key(1, n)) // PAGE * PAGE + 14] ^= 4  # mp_upper
            self.data.write_bytes(content)
            self.error(STORE, "verify")
            self.assert_said_what_is_gone(before)
            self.assertEqual(self.held(), before)

    def test_of_a_log_that_is_lost_whole_all_entries_are_counted_besides_rotten_ones(self):
        before = self.held()
        content = bytearray(self.whole)
        self.zero_pages(content, [self.state_row(), *[row_key(2, n) for n in range(1, 42)]])
        self.data.write_bytes(content)
        for n in 20, 40, 60:
            self.rot_entry("store", n)
        self.assert_said_what_is_gone(before)
        self.assertNotIn(f"{self.author}.1", self.held())

    def test_where_the_file_is_written_again_other_logs_are_mended_as_well(self):
        before = self.held()
        content = bytearray(self.whole)
        self.zero_pages(content, [row_key(1, 150)])
        self.data.write_bytes(content)
        _, lost, rows = self.repair(f"{self.author}.1")
        self.assertEqual((lost, rows), (len(before[self.author] - self.held()[self.author]), 0))
        self.assertGreater(lost, 0)
        self.run_culm("verify", status=NOT_FOUND)

    def test_verify_has_a_line_for_each_log_also_where_a_page_is_damaged(self):
        content = bytearray(self.whole)
        self.zero_pages(content, [row_key(1, 150)])
        self.data.write_bytes(content)
        first, second = self.json_lines("verify", status=STORE)
        self.assertEqual((first["log"], first["ok"], first["error"]),
                         (self.author, False, "store_damaged"))
        self.assertEqual((second["log"], second["ok"]), (f"{self.author}.1", True))
        said = self.run_culm("verify", status=STORE).stdout.decode()
        begin, end = map(int, first["damaged"].split("-"))
        self.assertTrue(end - 20 < begin <= 150 <= end, first)
        self.assertIn(f"{self.author[:12]}    BAD   the store is damaged; {end - begin + 1} entries "
                      f"cannot be read: {begin}-{end}\n", said)
        self.assertIn(f"{self.author[:12]}.1  good  ", said)

    def test_a_file_that_cannot_be_put_in_its_place_was_not_written(self):
        content = bytearray(self.whole)
        self.zero_pages(content, [row_key(1, 150)])
        self.data.write_bytes(content)
        (self.place / "store/data.mdb.new").mkdir()
        done = self.run_culm("repair", status=STORE)
        self.assertEqual(done.stdout, b"")
        self.assertIn("data.mdb.new in it is a directory", done.stderr.decode())
        self.assertEqual(self.data.read_bytes(), content)
        shutil.rmtree(self.path("store/data.mdb.new"))
        self.assertIn("wrote the file again",
                      self.run_culm("repair", status=NOT_FOUND).stdout.decode())


if __name__ == "__main__":
    main()
