"""What damage took and nobody has: the ways that are printed cost nothing that is sound."""

import json
import re
import shutil

from rotten import PAGE, Rotten
from scenario import NETWORK, NOT_FOUND, OK, STORE, USAGE, main, reference

LENGTH = 200
# The path from 121 down to 96 leads over some of these; 109-119 lead to 1 over no others.
LOST, CUT_OFF = range(97, 109), "109-119"


class LostForGood(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(LENGTH), key=self.key)

    def lose(self, entries, store="store"):
        for n in entries:
            self.rot_entry(store, n)
        self.error(NOT_FOUND, "repair", store=store)

    def assert_all_sound_is_kept(self, gone, store="store"):
        """It is wanted and here, and nothing that is printed deletes it."""
        log = self.json("ls", store=store)
        kept = sorted(set(range(1, LENGTH + 1)) - set(gone))
        self.assertEqual(log["payloads"], len(kept))
        wanted = self.text("cat", self.author, store=store)
        self.assertEqual(re.findall(r"line (\d+) of", wanted), [str(n) for n in kept])

    def test_a_loss_in_the_middle(self):
        self.lose(LOST)
        step = self.assert_lost("97-108", cut_off=CUT_OFF)
        self.assertIn(f"`culm select {self.author[:12]}.0 --range 1-96,120-`", step)
        said = self.paste(self.less(step), "select")
        self.assertNotIn("delete", said)
        self.assertIn("perhaps nowhere else, as what they lead to was lost: 11 payloads: 109-119",
                      said)
        self.assert_clean()
        self.assert_all_sound_is_kept(LOST)
        verdict = self.json("verify")
        self.assertEqual((verdict["ok"], verdict["entries"]), (True, 177))
        # A peer that has not got what is loose forever brings all that counts as lost.
        peer = self.relay("peer", "--accept-any")
        self.run_culm("sync", peer.address, "--push", self.author, status=(OK, NOT_FOUND))
        self.assertEqual(self.json("ls", store="peer")["payloads"], 177)
        self.assertNotIn("not replaced", self.text("repair", "--from", peer.address))
        peer.end()
        self.out("export", self.author, "--jsonl", "-o", "whole")
        report = self.json("import", "--jsonl", "whole", store="other")
        self.assertEqual(report["payloads_added"], 177)
        self.assert_sound("other")

    def test_a_list_is_cut_only_where_that_leaves_out_more_than_one(self):
        for count, shown in (9, "10,20,30,40,50,60,70,80,90"), (
                10, "10,20,30,40,50,60,70,80,..."):
            self.lose(range(10, 10 * count + 1, 10))
            self.assertRegex(self.text("ls"), f"lost: {count} entries: {shown}[;\n]")

    def test_what_was_let_go_comes_back_once_a_peer_turns_up(self):
        for before, again in ([], "--all"), (["--newest", "150"], "--newest 150"), (
                ["--range", "3-", "--entries-only"], "--range 3- --entries-only"):
            with self.subTest(before=before):
                store = f"store {again}"
                shutil.copytree(self.path("store"), self.path(store))
                peer = self.relay(f"peer {again}", "--accept-any")
                self.sync_one(store, peer.address, "--push", self.author)
                if before:
                    self.out("select", self.author, *before, store=store)
                wanted = self.json("select", store=store)["interest"]
                self.lose(LOST, store)
                step = self.assert_lost("97-108", cut_off=CUT_OFF, store=store)
                undo = (f"once somebody has it `culm select {self.author[:12]}.0 {again}`, then "
                        f"`culm sync HOST:PORT {self.author[:12]}.0` bring it back")
                self.assertTrue(step.endswith(f" wants less, and {undo}"), step)
                less = re.search("`culm (select [^`]*)`", self.less(step))[1].split()
                for more, words in (["--dry-run"], "then not"), ([], "not"):
                    self.assertIn(f"; lost, and {words} wanted any more: 12 entries: 97-108; "
                                  f"{undo}", self.text(*less, *more, store=store))
                self.assert_clean(store)
                told = "taken by damage and not wanted: 12 entries: 97-108"
                self.assertIn(f"; {told}\n", self.text("ls", store=store))
                self.assertIn(f"; {told}\n", self.text("verify", store=store))
                for line in self.json("ls", store=store), self.json("verify", store=store), \
                        self.json("select", store=store):
                    self.assertEqual((line["lost_unwanted"], line["payloads_lost_unwanted"]),
                                     ("97-108", ""))
                # What was wanted before nothing tells any more.
                name = f"{self.author[:12]}.0"
                fetch = (f"`culm select {name} --all --payloads`, then `culm sync HOST:PORT {name}` "
                         "bring it back" if "--entries-only" in before else
                         f"`culm sync HOST:PORT {name} --range [0-9,-]+` brings it back")
                said = self.text("repair", "--from", peer.address, store=store)
                # It took some, which only proved more.
                *_, replaced, line = said.splitlines()
                self.assertIn(f"{self.author[:12]}: replaced ", replaced)
                self.assertRegex(line, f"^{self.author[:12]}: taken by damage and not wanted: . "
                                 f"entries: .*; once somebody has it {fetch}$")
                self.assertIn(f"  next: {line}\n", self.run_culm("verify", store=store).stderr
                              .decode())
                said = self.json_lines("repair", "--from", peer.address, store=store)
                self.assertEqual([line["type"] for line in said], ["sound", "not_wanted"])
                for command in re.findall("`culm ([^`]*)`", undo):
                    self.out(*command.replace("HOST:PORT", peer.address).split(), store=store)
                self.assertEqual(self.json("select", store=store)["interest"], wanted)
                self.assertEqual(self.json("ls", store=store)["held"], f"1-{LENGTH}")
                # Payloads were here that nobody wanted.
                more = (f"{self.author[:12]}: taken by damage and not wanted: 12 payloads: 97-108; "
                        f"once somebody has it {fetch}\n" if "--entries-only" in before else "")
                self.assertEqual(self.text("repair", "--from", peer.address, store=store),
                                 f"nothing is damaged\n{more}")
                peer.end()

    def test_a_repair_that_loses_no_more_denies_no_earlier_loss(self):
        self.lose(LOST)
        self.out("select", self.author, "--without-lost")
        self.out("compact")
        data = self.place / "store/data.mdb"
        content = bytearray(data.read_bytes())
        branch = next(at for at in range(2 * PAGE, len(content), PAGE) if content[at + 10] == 1)
        content[branch:branch + PAGE] = bytes(PAGE)
        data.write_bytes(content)
        shutil.copytree(self.path("store"), self.path("other"))
        peer = self.relay("peer", "--accept-any")
        self.assertIn("\nthe store would be sound, and nothing that is wanted lost: ",
                      self.text("repair", "--dry-run"))
        for store, more in ("store", []), ("other", ["--from", peer.address]):
            said = self.text("repair", *more, store=store)
            self.assertIn(".damaged, to be safe: ", said)
            self.assertTrue(
                said.endswith("\nthe store is sound, and nothing that is wanted is lost\n"), said)
            self.assertEqual("taken by damage and not wanted: 12 entries: 97-108" in said,
                             store == "other")
            self.assertIn("taken by damage and not wanted: 12 entries: 97-108",
                          self.text("verify", store=store))

    def test_of_what_a_sync_takes_as_proof_the_payloads_alone_are_let_go(self):
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.lose([10, 11, 150])
        step = self.assert_lost("10-11,150")
        self.assertIn("--range 1-9,12-149,151-`", step)
        for less in (re.search("`culm (select [^`]*)`", self.less(step))[1].split(),
                     ["select", self.author, "--without-lost"]):
            self.assertIn("; lost, and then not wanted any more: 3 payloads: 10-11,150; once "
                          "somebody has it ", self.text(*less, "--dry-run"))
        again = re.search("; lost, and not wanted any more: 3 payloads: 10-11,150; once somebody "
                          "has it `culm (select [^`]*)`", self.text(*less))[1]
        self.sync_one("store", peer.address)
        log = self.json("ls")
        self.assertEqual((log["held"], log["payloads"]), (f"1-{LENGTH}", LENGTH - 3))
        self.assertEqual((log["lost_unwanted"], log["payloads_lost_unwanted"]), ("", "10-11,150"))
        self.out(*again.split())
        self.sync_one("store", peer.address)
        self.assertEqual(self.json("ls")["payloads"], LENGTH)

    def test_where_no_payloads_were_wanted_nothing_is_let_go_that_a_sync_takes(self):
        self.out("select", self.author, "--entries-only")
        self.lose([10, 11, 150])
        said = self.text("select", self.author, "--without-lost")
        self.assertNotIn("not wanted any more", said)

    def test_a_part_whose_rest_was_never_here_is_told_of_nothing(self):
        self.out("select", self.author, "--newest", "5")
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author, "--range", "90-96")
        for store in "store", "part":
            self.assertNotIn("damage", self.text("ls", store=store))
            self.assertEqual(self.run_culm("verify", store=store).stderr, b"")
            self.assertEqual(self.text("repair", "--from", peer.address, store=store),
                             "nothing is damaged\n")

    def test_a_backup_at_hand_heals(self):
        self.out("backup", self.path("copy"))
        self.rot_payload("store", 30)
        for n in LOST:
            self.rot_entry("store", n)
        said = self.error(STORE, "verify")
        self.assertIn("`culm --store BACKUP export LOG --jsonl | culm import --jsonl -`", said)
        self.assertIn("`culm --store BACKUP export LOG --jsonl | culm import --jsonl -`",
                      self.text("repair", "--dry-run"))
        self.error(NOT_FOUND, "repair")
        gone = self.relay("gone", "--accept-any")
        gone.end()
        said = self.error(NETWORK, "repair", "--from", gone.address)
        step = self.assert_lost("97-108", "30", cut_off=CUT_OFF)
        shutil.copytree(self.path("store"), self.path("hurt"))
        for words in said, step:
            shutil.rmtree(self.path("store"))
            shutil.copytree(self.path("hurt"), self.path("store"))
            self.paste(words, "import", BACKUP="copy")
            self.assert_clean()
            log = self.json("ls")
            self.assertEqual((log["held"], log["payloads"]), (f"1-{LENGTH}", LENGTH))

    def test_less_is_wanted_by_one_word_where_ranges_are_very_many(self):
        lines = 700
        author = self.new_log(self.lines(lines), key=self.keygen("long.key"), store="long")
        # The next one leads past each of these.
        for n in range(2, lines):
            if reference.lipmaa(n) == n - 1 and reference.lipmaa(n + 1) < n:
                self.rot_entry("long", n)
        self.error(NOT_FOUND, "repair", store="long")
        done = self.run_culm("verify", "--json", store="long", status=NOT_FOUND)
        less = re.search("`culm (select [^`]*)`", json.loads(done.stderr)["next"])[1]
        self.assertEqual(less, f"select {author[:12]}.0 --without-lost")
        self.assertIn("; lost, and not wanted any more: ", self.text(*less.split(), store="long"))
        self.assert_clean("long")
        self.assertTrue(self.json("select", store="long")["interest"].endswith("-"))
        before = self.json("select", store="long")
        self.assertEqual(self.json(*less.split(), store="long") | before, before | {
            "seqnums_in_part": "", "payload_bytes_in_part": 0})
        self.error(USAGE, *less.split(), "--payloads", store="long")
        self.error(USAGE, *less.split(), "--all", store="long")

    def test_what_is_wanted_without_what_was_lost_still_has_payloads_that_were(self):
        self.rot_payload("store", 7)
        self.error(NOT_FOUND, "repair")
        step = self.assert_lost("", "7")
        less = f"select {self.author[:12]}.0 --without-lost".split()
        for more in ["--dry-run"], []:
            said = self.text(*less, *more)
            self.assertTrue(said.endswith("; lost, and still wanted: 1 payload: 7; where nobody "
                                          f"has it: {self.less(step)}\n"), said)
        self.assert_lost("", "7")
        self.paste_ways(said)
        self.assert_clean()

    def test_a_loss_of_some_near_the_first(self):
        self.lose(range(15, 29))
        step = self.assert_lost("15-28", cut_off="29-39")
        self.assertIn("--range 1-14,40-`", step)
        self.assertNotIn("delete", self.paste(self.less(step), "select"))
        self.assert_clean()

    def test_a_part_that_lost_only_what_proves_more_of_it(self):
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author, "--range", "90-96")
        self.rot("part", bytes.fromhex(
            self.json("inspect", self.author, "120", store="part")["signature"]))
        self.assertIn("dropped 1 entry: 120", self.text("repair", store="part"))
        self.assertEqual(self.json("verify", store="part")["loose"], "80,119")
        # Any peer that has it brings it.
        self.assertIn("replaced 1 entry: 120",
                      self.text("repair", "--from", peer.address, store="part"))
        self.assertEqual(self.json("ls", store="part")["payloads_lost_unwanted"], "")

    def test_a_payload_that_the_newest_have_moved_past_is_told_and_comes_back(self):
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author, "--newest", "20")
        self.new_log(self.lines(30, start=LENGTH + 1), key=self.key)
        self.sync_one("store", peer.address, "--push", self.author)
        self.rot_payload("part", 190)
        with self.somebody_else():
            said = self.text("repair", "--from", peer.address, store="part")
            self.assertIn("dropped 1 payload: 190", said)
            name = self.author[:12]
            told = f"{name}: taken by damage and not wanted: 1 payload: 190"
            fetch = f"sync HOST:PORT {name}.0 --range 190"
            self.assertEqual(said.splitlines()[-1],
                             f"{told}; once somebody has it `culm {fetch}` brings it back")

            def unwanted():
                return {(line["lost_unwanted"], line["payloads_lost_unwanted"])
                        for line in (self.json(verb, store="part")
                                     for verb in ("ls", "verify", "select"))}

            self.assertEqual(unwanted(), {("", "190")})
            self.out(*fetch.replace("HOST:PORT", peer.address).split(), store="part")
            self.assertEqual(unwanted(), {("", "")})
            wanted = self.json("select", store="part")
            self.assertEqual((wanted["interest"], wanted["interest_newest"]), ("190", 20))

    def test_of_the_newest_those_before_a_gap_stay_wanted(self):
        self.out("select", self.author, "--newest", "100")
        self.lose([150])
        step = self.assert_lost("150")
        self.assertIn("--range 101-149 --newest 50`", step)
        self.paste(self.less(step), "select")
        self.assert_clean()
        self.assertEqual(self.json("select")["interest"], "101-149")

    def test_very_many_payloads_cost_no_others(self):
        lost = range(2, 151, 2)
        for n in lost:
            self.rot_payload("store", n)
        self.error(NOT_FOUND, "repair")
        step = self.assert_lost("", ",".join(map(str, lost)))
        self.assertNotIn("select", step)
        for _ in range(5):
            if "nobody has it" not in step:
                break
            self.paste(self.less(step), "delete")
            done = self.run_culm("verify", "--json", status=(OK, NOT_FOUND))
            step = json.loads(done.stderr)["next"] if done.returncode else ""
        self.assert_clean()
        self.assertEqual(self.json("ls")["payloads"], LENGTH - len(lost))
        self.assertTrue(self.json("select")["payloads_wanted"])

    def test_no_delete_is_offered_of_what_may_be_the_last_copy(self):
        said = self.text("select", self.author, "--newest", "5")
        self.assertNotIn("delete", said)
        self.assertIn("held though not wanted, and perhaps nowhere else, as the log is your "
                      "own: 195 payloads: 1-195; `culm sync HOST:PORT ", said)
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author)
        with self.somebody_else():
            self.assertIn("until `culm delete", self.text("select", self.author, "--newest", "5",
                                                          store="part"))
        self.out("select", self.author, "--all", store="part")
        self.lose([150], store="part")
        said = self.text("select", self.author, "--range", "1-5", store="part")
        self.assertNotIn("delete", said)
        self.assertIn("perhaps nowhere else, as damage took others of the log: ", said)

    def assert_offers_no_delete(self, why, store="store"):
        said = self.text("select", self.author, "--newest", "5", "--dry-run", store=store)
        self.assertNotIn("delete", said)
        self.assertIn(f"perhaps nowhere else, as {why}: 195 payloads: 1-195; ", said)

    def test_a_log_whose_mark_says_nothing_may_be_ones_own(self):
        mark = self.place / "marks" / f"{self.author}.0.mark"
        sound = mark.read_bytes()
        mark.write_bytes(sound[:7])
        self.assert_offers_no_delete("the log is your own")
        self.assertIn("it is your own", self.text("forget", self.author, "--dry-run"))
        mark.write_bytes(sound)
        with self.other_machine():
            for _ in range(2):
                said = self.text("select", self.author, "--newest", "5", "--dry-run")
                self.assertIn("no author marks here tell whether the log is your own", said)
                (self.place / "other-marks").mkdir(exist_ok=True)

    def test_a_copy_of_ones_own_log_may_be_the_last_one(self):
        self.out("backup", self.path("restored"))
        self.out("append", "--key", self.key[0], stdin=b"one more")
        self.assert_offers_no_delete("the log is your own", store="restored")

    def test_an_export_of_a_part_names_nothing_else(self):
        self.lose(LOST)
        self.assertIn("exported 16 entries", self.text(
            "export", self.author, "--jsonl", "--range", "81-96", "-o", "part"))
        report = self.json("import", "--jsonl", "part", store="other")
        self.assertEqual(report["payloads_added"], 16)
        said = self.error(NOT_FOUND, "export", self.author, "--jsonl", "--range", "96,109-110",
                          "-o", "more")
        self.assertIn("left out: 109-110; the rest", said)

    def test_an_export_that_lacks_something_says_what_it_wrote(self):
        def export(name, status, lost_payloads, missing_lines=0):
            done = self.run_culm("export", self.author, "--jsonl", "-o", name, "--json",
                                 status=status)
            line, lines = json.loads(done.stdout), (self.place / name).read_text().splitlines()
            self.assertEqual((line["type"], line["file"], line["entries"], line["payloads"]),
                             ("exported", name, LENGTH - missing_lines, LENGTH - lost_payloads))
            self.assertEqual((len(lines), sum('"payload"' in text for text in lines)),
                             (line["entries"] + line["certificate_entries"], line["payloads"]))
            return json.loads(done.stderr)

        self.rot_payload("store", 77)
        self.rot_payload("store", 78)
        export("damaged", STORE, 2)
        self.error(NOT_FOUND, "repair")
        failure = export("lacking", NOT_FOUND, 2)
        self.assertTrue(failure["message"].startswith("the payloads are not held: 77-78; "))
        self.assertIn("` fetches them from a peer that has them", failure["next"])
        self.assertIn("exported 200 entries and 0 to prove them, with 198 payloads, to words\n",
                      self.run_culm("export", self.author, "--jsonl", "-o", "words",
                                    status=NOT_FOUND).stdout.decode())
        self.rot_row("store", 78)
        failure = export("rotten", STORE, 2, missing_lines=1)
        self.assertEqual((failure["damaged"], failure["missing"]), ("78", "77"))
        self.assertIn("damaged and left out: 78; without payload, as that is not held: 77; ",
                      failure["message"])

    def test_an_export_names_payloads_that_were_lost(self):
        self.rot_payload("store", 77)
        self.error(NOT_FOUND, "repair")
        for name, arguments in (("all", []), ("one", ["--range", "77"]),
                                ("rest", ["--range", "70-"])):
            export = ["export", self.author, "--jsonl", *arguments]
            self.assertIn(f"the payload is not held: 77; the rest is in {name}\n",
                          self.error(NOT_FOUND, *export, "-o", name))
            failure = json.loads(self.run_culm(*export, "--json", status=NOT_FOUND).stderr)
            self.assertIn("` fetches it from a peer that has it", failure["next"])
            self.assertEqual((failure["error"], failure["missing"]), ("payload_not_held", "77"))
        self.out("import", "--jsonl", "all", store="other")
        self.assert_sound("other")
        self.out("export", self.author, "--jsonl", "--range", "78-", "-o", "others")
        # What was let go here is told, and is no failure.
        self.out("delete", self.author, "--payloads", "--range", "76-77")
        done = self.run_culm("export", self.author, "--jsonl", "-o", "whole")
        self.assertIn("without 2 payloads deleted here: 76-77", done.stderr.decode())
        self.out("select", self.author, "--entries-only", store="other")
        done = self.run_culm("export", self.author, "--jsonl", "--range", "77", store="other")
        self.assertIn("without 1 payload not held and not wanted: 77", done.stderr.decode())
        self.assertIn("[deleted]", self.text("log", self.author, "--range", "77"))
        self.assertIn("[not held]", self.text("log", self.author, "--range", "77", store="other"))


if __name__ == "__main__":
    main()
