"""What `culm repair --dry-run` says beforehand, and what a store wants behind a repair."""

import json
import os
import re
import shutil

from rotten import ENTRIES, PAGE, Rotten, members
from scenario import NOT_FOUND, OK, main

LOST_HERE = re.compile(r"(?:lost here|perhaps lost): ([^;\n]*)")
ASKED = re.compile(r"with --from it would ask for (.*)\n")


class Foreseen(Rotten):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(self.lines(ENTRIES))
        self.write("large", os.urandom(300_000))
        self.out("append", "--key", "me.key", "large")
        self.peer = self.relay("peer", "--accept-any")
        self.sync_one("store", self.peer.address, "--push", self.author)

    def sizes(self, *percents):
        """Of copies in `rotten` whose file was cut to so much of it."""
        whole = (self.place / "store/data.mdb").read_bytes()
        for percent in percents:
            with self.subTest(percent=percent):
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("store"), self.path("rotten"))
                os.truncate(self.path("rotten/data.mdb"), len(whole) * percent // 100)
                yield

    def foresee(self, store="rotten"):
        """What a dry run says, as text, and of each type as JSON; it changes nothing."""
        data = self.place / store / "data.mdb"
        before = data.read_bytes()
        text = self.text("repair", "--dry-run", store=store)
        lines = {}
        for line in self.json_lines("repair", "--dry-run", store=store):
            lines.setdefault(line["type"], []).append(line)
        self.assertEqual(data.read_bytes(), before)
        return text, lines

    def assert_foreseen(self, text, lines, store="rotten"):
        """A run loses as much; what of whose entries and payloads, its JSON says as well."""
        done = self.run_culm("repair", store=store, status=(OK, NOT_FOUND))
        said = LOST_HERE.findall(done.stderr.decode())
        self.assertEqual(LOST_HERE.findall(text), said)
        self.assertEqual("would_lack" in lines, said != [])
        asked = {line["log"]: line for line in lines.get("would_ask", [])}
        logs = [line for line in self.json_lines("ls", store=store) if line["type"] == "log"]
        for log in logs:
            line = asked.get(log["log"], {"missing": "", "payloads_missing": ""})
            self.assertEqual((members(log["lost"]) - members(line["missing"]),
                              members(log["payloads_lost"]) - members(line["payloads_missing"])),
                             (set(), set()))
        kinds = "lost", "payloads_lost", "perhaps_lost", "payloads_perhaps_lost"
        if "would_lack" in lines:
            would, = lines["would_lack"]
            self.assertEqual(
                [would[f"{kind}_count"] for kind in kinds],
                [sum(len(members(log[kind])) for log in logs) for kind in kinds])

    def test_a_dry_run_of_a_cut_file_says_what_the_run_loses_and_asks_for(self):
        lost = 0
        for _ in self.sizes(40, 50, 60, 75, 90):
            text, lines = self.foresee()
            shutil.copytree(self.path("rotten"), self.path("other"))
            self.assert_foreseen(text, lines)
            done = self.json_lines("repair", "--from", self.peer.address, store="other")
            asked = [(line["log"], members(line["missing"])) for line in lines.get("would_ask", [])]
            brought = [(line["log"], members(line["replaced_entries"]) |
                        members(line["brought_entries"])) for line in done
                       if line["type"] == "replaced"]
            self.assertEqual([row for row in asked if row[1]], [row for row in brought if row[1]])
            shutil.rmtree(self.path("other"))
            lost += len(asked)
        self.assertGreater(lost, 1)

    def test_a_dry_run_says_what_of_rotten_rows_is_lost_wherever_they_lie(self):
        for rot in ([77], [4], [ENTRIES], range(790, 801), [1, 400]):
            shutil.rmtree(self.path("rotten"), ignore_errors=True)
            shutil.copytree(self.path("store"), self.path("rotten"))
            for n in rot:
                self.rot_entry("rotten", n)
            self.rot_payload("rotten", 300)
            text, lines = self.foresee()
            self.assertIn("would ask for", text)
            self.assert_foreseen(text, lines)

    def test_a_value_that_is_said_to_take_pages_of_others_is_damage_before_it_is_erased(self):
        self.out("compact")
        good = (self.place / "store/data.mdb").read_bytes()
        run = next(at for at in range(2 * PAGE, len(good), PAGE)
                   if good[at:at + 8] == (at // PAGE).to_bytes(8, "little") and
                   good[at + 10:at + 12] == b"\4\0")
        for more in 1, 1 << 20:
            shutil.rmtree(self.path("rotten"), ignore_errors=True)
            shutil.copytree(self.path("store"), self.path("rotten"))
            pages = int.from_bytes(good[run + 12:run + 16], "little") + more
            (self.place / "rotten/data.mdb").write_bytes(
                good[:run + 12] + pages.to_bytes(4, "little") + good[run + 16:])
            self.assertIn("would write the file again", self.foresee()[0])
            self.assertIn("wrote the file again", self.text("repair", store="rotten"))
            self.out("delete", self.author, "--payloads", "--range", str(ENTRIES + 1),
                     store="rotten")
            self.assert_sound("rotten")

    def test_flags_of_a_table_are_damage_before_rows_are_looked_for_in_another_order(self):
        self.rot_payload("store", 77)
        good = (self.place / "store/data.mdb").read_bytes()
        for table in b"entries", b"logs":
            for flag in 2, 4, 8:
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("store"), self.path("rotten"))
                rotten = bytearray(good)
                for place in re.finditer(table, good):
                    rotten[place.end() + 4] |= flag
                (self.place / "rotten/data.mdb").write_bytes(rotten)
                text, lines = self.foresee()
                self.assertIn("would write the file again", text)
                self.assertIn("lost here: 1 payload\n", text)
                self.assert_foreseen(text, lines)
                self.assertEqual(self.json("ls", store="rotten")["held"], f"1-{ENTRIES + 1}")

    def test_of_entries_whose_log_nothing_tells_a_dry_run_says_that(self):
        key, author = self.keygen("two.key")
        self.new_log([str(n) for n in range(1, 301)], key=(key, author), store="two")
        self.out("append", "--key", key, self.write("large", os.urandom(700_000)), store="two")
        second = ["append", "--key", key, "--log-id", "1"]
        self.out(*second, self.write("second", os.urandom(200_000)), store="two")
        self.out(*second, "--lines", stdin=b"".join(b"%d\n" % n for n in range(50)), store="two")
        self.out("sync", self.peer.address, "--push", store="two")
        os.truncate(self.path("two/data.mdb"), 500_000)
        text, lines = self.foresee("two")
        self.assertIn("entries of which nothing else is left", text)
        self.assertIn("nothing tells the log; with --from peers are asked for those of", text)
        self.assertIn(f"{author}.1", text.split("not in this store: ")[1])
        self.assertGreater(lines["would_lack"][0]["of_unknown_log_count"], 50)
        self.assert_foreseen(text, lines, "two")

    def test_where_nothing_tells_how_much_a_file_had_more_may_be_lost(self):
        content = bytearray((self.place / "store/data.mdb").read_bytes())
        page = int.from_bytes(self.newest_meta(content)[128:136], "little") * PAGE
        content[page:page + PAGE] = bytes(PAGE)
        (self.place / "store/data.mdb").write_bytes(content)
        shutil.copytree(self.path("store"), self.path("other"))
        text, lines = self.foresee("store")
        self.assertIn("lost here: perhaps entries of which nothing else is left; nothing tells how "
                      "many entries it had", text)
        self.assertIsNone(lines["would_lack"][0]["of_unknown_log_count"])
        self.assert_foreseen(text, lines, "store")
        said = self.error(NOT_FOUND, "repair", "--from", self.peer.address, store="other")
        self.assertIn("nothing tells how many entries the file had", said)
        for store in "store", "other":
            self.assertEqual(self.without_kept(self.run_culm("repair", store=store)),
                             "nothing is damaged\n")

    def test_what_an_earlier_repair_lost_is_said_where_other_damage_is_found(self):
        self.rot_entry("store", 77)
        self.error(NOT_FOUND, "repair")
        self.rot_entry("store", 200)
        text, lines = self.foresee("store")
        self.assertIn("lost, and not here again: 1 entry: 77\n", text)
        self.assertEqual(ASKED.findall(text), ["2 entries: 77,200"])
        self.assert_foreseen(text, lines, "store")

    def test_a_store_wants_behind_a_repair_what_it_did_and_a_sync_brings_it_back(self):
        key, author = self.keygen("other.key")
        self.new_log(self.lines(300), key=(key, author), store="other")
        self.sync_one("other", self.peer.address, "--push", author)
        self.sync_one("store", self.peer.address, author, "--range", "100-200")
        self.out("delete", self.author, "--payloads", "--range", "5-9")

        def selected(store):
            keys = "log", "interest", "interest_newest", "payloads_wanted", "selected", "cap"
            return [{key: line[key] for key in keys}
                    for line in self.json_lines("select", store=store)]

        wanted, held = selected("store"), self.json_lines("ls")
        for rot in ([4], [77, 150], [1], range(790, 801)):
            shutil.rmtree(self.path("rotten"), ignore_errors=True)
            shutil.copytree(self.path("store"), self.path("rotten"))
            for n in rot:
                self.rot_entry("rotten", n)
            self.error(NOT_FOUND, "repair", store="rotten")
            self.assertEqual(selected("rotten"), wanted)
            self.out("sync", self.peer.address, store="rotten")
            self.assertEqual(self.json_lines("ls", store="rotten"),
                             [before | {"verified": after["verified"]} for before, after in
                              zip(held, self.json_lines("ls", store="rotten"))])

    def test_nothing_says_to_delete_what_is_held_and_leads_to_nothing(self):
        self.rot_entry("store", 4)
        step = self.assert_lost_once()
        command, = re.findall("`culm (select [^`]*)`", self.less(step))
        said = self.text(*command.split())
        self.assertEqual(said.count("culm delete"), said.count("--range 2-3`"), said)
        self.assertIn(f"perhaps nowhere else, as what they lead to was lost: {ENTRIES - 3} payloads:"
                      f" 5-{ENTRIES + 1}\n", said)
        self.out("select", self.author, "--all")
        self.out("sync", self.peer.address)
        log = self.json("ls")
        self.assertEqual((log["held"], log["complete"]), (f"1-{ENTRIES + 1}", True))

    def assert_lost_once(self):
        return json.loads(self.run_culm("repair", "--json", status=NOT_FOUND).stderr)["next"]


if __name__ == "__main__":
    main()
