"""`culm verify` over a store."""

import json
import os
import random
import subprocess

from rotten import PAGE, Rotten, members
from scenario import CULM, NOT_FOUND, OK, STORE, USAGE, VERIFICATION, main


class VerifyStore(Rotten):
    def test_good_logs_are_said_to_be_good(self):
        authors = [self.new_log(range(50), key=self.keygen(name)) for name in "ab"]
        rows = {row["log"]: row for row in self.json_lines("verify")}
        self.assertEqual(sorted(rows), sorted(authors))
        for row in rows.values():
            self.assertEqual((row["ok"], row["entries"], row["payloads"], row["faults"]),
                             (True, 50, 50, 0))
        self.assertEqual(self.json("verify", authors[0][:8])["log"], authors[0])
        self.assertRegex(self.text("verify", authors[1]), f"^{authors[1][:12]}  good  50 entries")
        self.error(NOT_FOUND, "verify", "12345678")

    def test_the_number_of_threads_changes_nothing_of_a_good_verdict(self):
        self.new_log(f"payload {n}" for n in range(700))
        whole = self.text("verify")
        for threads in (1, 2, 7):
            self.assertEqual(self.text("verify", "--verify-threads", threads), whole)
        for threads in (0, 257, "two"):
            self.error(USAGE, "verify", "--verify-threads", threads)

    def test_damage_is_found_and_never_a_crash_of_its_own_making(self):
        author = self.new_log(f"payload {n} is easy to find" for n in range(200))
        data = self.path("store/data.mdb")
        with open(data, "rb") as file:
            good = file.read()
        # Fixed at both ends: whatever byte lies behind another payload must not complete it.
        mark = b"payload 77 is"
        place = good.find(mark)
        self.assertGreater(place, 0)
        bad = bytearray(good)
        while place != -1:  # also in pages that are no longer in use
            bad[place] ^= 1
            place = good.find(mark, place + 1)
        with open(data, "r+b") as file:
            file.write(bad)
        done = self.run_culm("verify", status=STORE)
        self.assertIn("BAD", done.stdout.decode())
        report = self.json_lines("verify", status=STORE)[0]
        self.assertEqual((report["ok"], report["error"], report["seqnum"]),
                         (False, "store_damaged", 78))
        lines = [f"payload {n} is easy to find" for n in range(200) if n != 77]
        done = self.run_culm("cat", author, "--lines", status=STORE)
        self.assertEqual(done.stdout.decode().splitlines(), lines, "the rest is printed")
        self.assertIn("damaged and left out: 78", done.stderr.decode())
        rows = [row for row in self.json_lines("log", author, status=STORE) if "hash" in row]
        self.assertEqual([row["seqnum"] for row in rows], [n for n in range(1, 201) if n != 78])
        self.error(STORE, "export", author, "--jsonl", "-o", "part.jsonl")
        exported = [json.loads(line) for line in (self.place / "part.jsonl").read_text().splitlines()]
        self.assertEqual([n for n, line in enumerate(exported, 1) if "payload" not in line], [78])
        self.assertEqual(len(exported), 200)
        self.assertEqual(self.out("cat", author, "--range", "77"), b"payload 76 is easy to find")

    def test_no_damaged_page_ends_it_by_a_signal(self):
        # The signal is what the parent process looks at; a sanitizer would report it instead.
        self.environment["ASAN_OPTIONS"] = "handle_segv=0:handle_sigbus=0:handle_abort=0"
        author = self.new_log(f"payload {n}" for n in range(600))
        data = self.path("store/data.mdb")
        with open(data, "rb") as file:
            good = file.read()
        chance = random.Random(1)
        found = 0
        for page in range(len(good) // PAGE):
            spoils = (bytes(PAGE), chance.randbytes(PAGE), chance.randbytes(64))
            spoil = spoils[page % len(spoils)]
            with open(data, "wb") as file:
                file.write(good[:page * PAGE] + spoil + good[page * PAGE + len(spoil):])
            for arguments in (["verify"], ["inspect", author, "300"]):
                done = subprocess.run([CULM, *arguments], env=self.environment,
                                      capture_output=True, timeout=60)
                self.assertIn(done.returncode, (OK, NOT_FOUND, VERIFICATION, STORE),
                              (page, arguments, done.stderr))
                found += done.returncode == STORE
        self.assertGreater(found, len(good) // PAGE // 2)

    def test_a_store_that_cannot_be_read_is_an_error(self):
        if os.geteuid() == 0:
            self.skipTest("root reads everything")
        self.new_log("abc")
        os.chmod(self.path("store"), 0)
        self.error(STORE, "verify")
        os.chmod(self.path("store"), 0o700)

    def test_what_cannot_be_read_is_named_of_each_log(self):
        authors = [self.new_log(self.lines(300), key=self.keygen(f"{n}.key")) for n in range(3)]
        self.out("compact")  # no old pages
        for number in 1, 3:
            self.lose_pages("store", [self.entry_row(290, number)])
        said = self.run_culm("verify", status=STORE).stdout.decode().splitlines()
        gone = {line["log"]: len(members(line["damaged_entries"]))
                for line in self.json_lines("repair", "--dry-run") if line["type"] == "damage"}
        self.assertGreaterEqual(len(gone), 2)
        for author in authors:
            line, = [line for line in said if line.startswith(author[:12])]
            if author in gone:
                self.assertIn(f"; {gone[author]} entries cannot be read: ", line)
            else:
                self.assertTrue("; its entries can be read" in line or "  good  " in line, line)


if __name__ == "__main__":
    main()
