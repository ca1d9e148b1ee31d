"""Stores whose files rot."""

import json
import re
import subprocess

from relay_harness import NetworkScenario
from scenario import CULM, NOT_FOUND

ENTRIES = 800
PAGE = 4096


def members(ranges):
    """The seqnums of "5-9,20"."""
    found = set()
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


class Rotten(NetworkScenario):
    def rot(self, store, mark, ahead=0):
        """Flips a bit `ahead` bytes in front of each place that begins with `mark`."""
        with open(self.path(f"{store}/data.mdb"), "r+b") as file:
            content = bytearray(file.read())
            place = content.find(mark)
            self.assertGreater(place, 0)
            while place != -1:
                content[place - ahead] ^= 1
                place = content.find(mark, place + 1)
            file.seek(0)
            file.write(content)

    def on_copy(self, *verb):
        return subprocess.run([CULM, "--store", self.path("rotten"), *verb], capture_output=True,
                              text=True, env=self.environment, timeout=60)

    @staticmethod
    def newest_meta(content):
        """Of the two pages by which LMDB finds all others."""
        return max((content[:PAGE], content[PAGE:2 * PAGE]),
                   key=lambda meta: int.from_bytes(meta[144:152], "little"))

    def rot_row(self, store, n):
        """The row of an entry of the first log, if it is there."""
        row = (1).to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"
        if row in (self.place / store / "data.mdb").read_bytes():
            self.rot(store, row, ahead=-60)

    def state_row(self):
        return bytes.fromhex(self.author) + bytes(8) + b"\x03"

    @staticmethod
    def entry_row(n, number=1):
        """The beginning of its row; of the log of this number."""
        return number.to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"

    def lose_states(self, store):
        """Each page in which a state of a log lies."""
        self.lose_pages(store, [self.state_row()])

    def lose_pages(self, store, rows):
        """Each page in which one of the rows lies."""
        data = self.place / store / "data.mdb"
        content = bytearray(data.read_bytes())
        for row in rows:
            place = content.find(row)
            while place != -1:
                page = place // PAGE * PAGE
                content[page:page + PAGE] = bytes(PAGE)
                place = content.find(row)
        data.write_bytes(content)

    def rot_payload(self, store, n):
        self.rot(store, b"line %d of" % n)

    def rot_entry(self, store, n):
        """In the signature, which is the last of an entry."""
        self.rot(store, b"line %d of" % n, ahead=5)

    def assert_lost(self, entries="", payloads="", cut_off="", store="store"):
        """`ls` and `verify` say it, and nothing else is wrong; the next step that they name."""
        words = {"lost": entries, "payloads_lost": payloads, "cut_off": cut_off}
        done = self.run_culm("verify", "--json", store=store, status=NOT_FOUND)
        verdict, = self.parse_lines(done.stdout)
        log = self.json("ls", store=store)
        for line in verdict, log:
            self.assertEqual({key: line[key] for key in words}, words)
        self.assertEqual((verdict["ok"], verdict["faults"], verdict["bad_entries"]), (False, 0, 0))
        self.assertEqual(log["complete"] and entries != "", False, log)
        step = json.loads(done.stderr)["next"]
        self.assertIn(f"  next: {step}\n", self.run_culm("ls", store=store).stderr.decode())
        said = json.loads(self.run_culm("repair", "--json", store=store, status=NOT_FOUND).stderr)
        self.assertEqual((said["error"], said["next"]), (json.loads(done.stderr)["error"], step))
        return step

    @staticmethod
    def less(step):
        """Of a step how less is wanted, without how that is undone."""
        return step.split("; where nobody has it: ")[1].split(", and once somebody has it ")[0]

    def assert_clean(self, store="store"):
        self.assert_sound(store)
        listed = self.run_culm("ls", store=store)
        self.assertEqual(("lost" in self.without_kept(listed), listed.stderr), (False, b""))
        self.assertEqual(self.without_kept(self.run_culm("repair", store=store)),
                         "nothing is damaged\n")

    @staticmethod
    def without_kept(done):
        """What it said, but for the line of the files that a repair has kept."""
        return re.sub("(?m)^(a repair|repairs) kept .*data.mdb.damaged.*\n", "", done.stdout.decode())

    def paste_ways(self, step, store="store"):
        """To want less."""
        for command in re.findall("`culm ((?:select|delete) [^`]*)`", self.less(step)):
            self.out(*command.split(), store=store)
