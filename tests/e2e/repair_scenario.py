"""A store that is damaged, and how it is made whole again."""

import json
import os
import re
import random
import shutil
import time

from rotten import ENTRIES, PAGE, Rotten
from scenario import FORK, NETWORK, NOT_FOUND, OK, STORE, USAGE, main


class Repair(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(ENTRIES), key=self.key)
        self.peer = self.relay("peer", "--accept-any")
        self.sync_one("store", self.peer.address, "--push", self.author)

    def repair(self, *arguments, **options):
        return self.json_lines("repair", *arguments, **options)

    def test_what_is_damaged_is_said_then_dropped_and_taken_again(self):
        self.assertEqual(self.text("repair"), "nothing is damaged\n")
        self.rot_entry("store", 77)
        self.rot_payload("store", 400)
        self.assertIn("`culm repair --dry-run`", self.error(STORE, "verify"))
        found = self.text("repair", "--dry-run")
        self.assertIn("would drop 1 entry: 77; 1 payload: 400\n", found)
        self.assertIn("repair --from", found)
        self.error(STORE, "verify")
        done = self.text("repair", "--from", self.peer.address)
        self.assertIn("dropped 1 entry: 77; 1 payload: 400\n", done)
        self.assertIn("replaced 1 entry: 77; 1 payload: 400\n", done)
        self.assert_sound("store")
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))
        self.assertEqual(self.text("repair"), "nothing is damaged\n")

    def test_without_a_peer_what_is_left_is_sound_and_what_is_lost_comes_later(self):
        self.rot_entry("store", 77)
        self.rot_payload("store", 400)
        done = self.run_culm("repair", "--json", status=NOT_FOUND)
        dropped = json.loads(done.stdout)
        self.assertEqual((dropped["type"], dropped["damaged_entries"], dropped["damaged_payloads"]),
                         ("dropped", "77", "400"))
        failure = json.loads(done.stderr)
        self.assertEqual((failure["error"], failure["exit"]), ("entry_not_held", NOT_FOUND))
        self.assertIn("`culm repair --from HOST:PORT`; where a backup has it: `culm --store BACKUP "
                      f"export {self.author[:12]}.0 --jsonl | culm import --jsonl -`; where nobody "
                      "has it", failure["next"])
        self.assertEqual(self.assert_lost("77", "400"), failure["next"])
        log = self.json("ls")
        self.assertEqual((log["held"], log["payloads"]), ("1-76,78-800", 798))
        self.out("repair", self.author, "--from", self.peer.address)
        self.sync_one("store", self.peer.address, self.author)
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))

    def test_what_is_lost_is_said_until_it_came_or_is_wanted_no_more(self):
        """Wherever it lay: an author whose log goes on is told of no other log."""
        for n, (rot, what, begins_another) in enumerate((
                ([77], {"entries": "77"}, False),
                ([4], {"entries": "4", "cut_off": "5-800"}, True),
                ([*range(790, 801)], {"entries": "790-800"}, True),
                ([375, 388, 401, 415, 428, 441, 455, 468], {"entries": "375,388,401,415,428,441,455,468"}, False),
                ([400], {"payloads": "400"}, False))):
            store = f"rotten{n}"
            shutil.copytree(self.path("store"), self.path(store))
            for entry in rot:
                (self.rot_payload if "payloads" in what else self.rot_entry)(store, entry)
            bad, = self.json_lines("verify", store=store, status=STORE)
            is_payload = "payloads" in what
            self.assertEqual((bad["entries"], bad["bad_entries"], bad["bad_payloads"]),
                             (ENTRIES, 0 if is_payload else len(rot), len(rot) * is_payload))
            said = self.run_culm("verify", store=store, status=STORE).stdout.decode()
            self.assertEqual(f"{ENTRIES} entries, {len(rot)} of them bad, " in said, not is_payload)
            self.assertEqual(", 1 payload bad; 1 fault" in said, is_payload)
            self.error(NOT_FOUND, "repair", store=store)
            step = self.assert_lost(**what, store=store)
            self.assertEqual(("--log-id" in step, "--none" in step), (begins_another, False), step)
            for way in "from a peer", "less":
                mended = f"{store} {way}"
                shutil.copytree(self.path(store), self.path(mended))
                if way == "less":
                    self.paste_ways(step, store=mended)
                    left = self.run_culm("export", self.author, "--jsonl", store=mended).stderr
                    self.assertEqual(b"left out 796 entries that lead to nothing and are not "
                                     b"wanted: 5-800" in left, "cut_off" in what, left)
                else:
                    self.out("repair", "--from", self.peer.address, store=mended)
                self.assert_clean(mended)

    def test_what_an_earlier_run_has_dropped_is_taken_again(self):
        self.rot_entry("store", 77)
        self.rot_payload("store", 400)
        self.rot_entry("store", 800)  # behind the new head, where nothing tells of it
        for _ in range(2):
            self.assertIn("lost here: 2 entries, 1 payload", self.error(NOT_FOUND, "repair"))
        self.assertIn("lost, and not here again: 2 entries: 77,800; 1 payload: 400\n",
                      self.text("repair", "--dry-run"))
        self.assertEqual(self.json("ls")["held"], "1-76,78-799")
        gone = self.relay("gone", "--accept-any")
        gone.end()
        said = self.error(NETWORK, "repair", "--from", gone.address)
        self.assertIn("repair again with another peer", said)
        done = self.text("repair", "--from", self.peer.address)
        self.assertIn("replaced 2 entries: 77,800; 1 payload: 400\n", done)
        self.assertNotIn("nothing is damaged", done)
        log = self.json("ls")
        self.assertEqual((log["held"], log["payloads"]), ("1-800", 800))
        self.assert_sound("store")
        self.error(NETWORK, "repair", "--from", gone.address)

    def test_of_a_log_that_is_wanted_in_part_no_more_is_taken(self):
        self.sync_one("part", self.peer.address, self.author, "--range", "300-500")
        held = self.json("ls", store="part")["held"]
        self.rot_entry("part", 333)
        self.error(NOT_FOUND, "repair", store="part")
        self.assertNotEqual(self.json("ls", store="part")["held"], held)
        self.out("repair", "--from", self.peer.address, store="part")
        self.assertEqual(self.json("ls", store="part")["held"], held)

    def test_what_was_never_fetched_does_not_count_as_lost(self):
        self.sync_one("part", self.peer.address, self.author, "--range", "300-500")
        self.out("select", self.author, "--all", store="part")
        self.rot_payload("part", 333)
        self.assertIn("lost here: 1 payload\n", self.error(NOT_FOUND, "repair", store="part"))
        again = self.run_culm("repair", "--json", store="part", status=NOT_FOUND)
        self.assertEqual([json.loads(line) for line in again.stdout.splitlines()],
                         [{"type": "sound"}, {"type": "lost", "log": self.author, "missing": "",
                                              "payloads_missing": "333", "perhaps_lost": "",
                                              "payloads_perhaps_lost": ""}])
        self.out("delete", self.author, "--payloads", "--range", "333", store="part")
        self.assertEqual(self.repair(store="part"), [{"type": "sound"}])

    def test_an_entry_that_only_proves_others_is_taken_again(self):
        self.sync_one("part", self.peer.address, self.author, "--range", "300-500")
        before = self.json("ls", store="part")  # nobody wants its payload
        self.rot("part", bytes.fromhex(self.json("inspect", self.author, "121", store="part")["signature"]))
        self.assertIn("121", self.repair("--dry-run", store="part")[0]["damaged_entries"])
        self.out("repair", "--from", self.peer.address, store="part")
        self.assertEqual(before, self.json("ls", store="part") | {"verified": before["verified"]})
        self.assert_sound("part")

    def test_each_entry_that_only_proves_others_is_asked_for(self):
        """All but those above what is wanted, without which all of it still leads to the first."""
        for part in ("--range", "300-500"), ("--newest", "100"):
            store = part[0][2:]
            self.sync_one(store, self.peer.address, self.author, *part)
            log = self.json("ls", store=store)
            wanted = range(300, 501) if store == "range" else range(701, 801)
            only_prove = [line["seqnum"] for line in self.json_lines("log", self.author, store=store)
                          if line["seqnum"] not in wanted]
            self.assertEqual(len(only_prove), log["certificate_entries"])
            for n in only_prove[::3] + only_prove[-3:]:
                with self.subTest(entry=n, part=part):
                    signature = self.json("inspect", self.author, str(n), store=store)["signature"]
                    self.rot(store, bytes.fromhex(signature))
                    did = "replaced" if n < wanted.stop else "dropped"
                    self.assertIn(f"{did} 1 entry: {n}\n", self.text(
                        "repair", "--from", self.peer.address, store=store))
                    self.assert_clean(store)

    def test_a_damaged_list_of_known_peers_is_dropped(self):
        self.rot("store", self.peer.address.encode())
        self.assertIn("`culm repair --dry-run`", self.error(STORE, "verify"))
        self.assertEqual([line["type"] for line in self.repair("--dry-run")], ["damaged_peers"])
        self.assertIn("would drop the list of peers", self.text("repair", "--dry-run"))
        self.assertIn("dropped the list of peers", self.text("repair"))
        self.assert_sound("store")
        self.assertEqual(self.text("repair"), "nothing is damaged\n")
        self.sync_one("store", self.peer.address, self.author)
        shutil.copytree(self.path("store"), self.path("copy"))
        self.out("append", "--key", self.key[0], "--gate", "required", stdin=b"x", store="copy")

    def test_entries_that_are_cut_off_are_named_until_they_lead_to_the_first_again(self):
        self.rot_entry("store", 4)
        found = self.repair("--dry-run")[0]
        self.assertEqual((found["damaged_entries"], found["cut_off"]), ("4", "5-800"))
        for _ in range(2):
            self.assertIn("796 entries that lead to nothing", self.error(NOT_FOUND, "repair"))
        self.assertIn("`culm append --key FILE --log-id N` begins another log",
                      self.assert_lost("4", cut_off="5-800"))
        said = self.error(FORK, "append", "--key", self.key[0], stdin=b"more")
        self.assertIn("where no peer has it, begin another one with --log-id", said)
        other = self.relay("other", "--accept-any")
        begun = time.monotonic()
        pushed = self.run_culm("sync", "--push", other.address, self.author, "--json",
                               status=NOT_FOUND)
        self.assertLess(time.monotonic() - begun, 25)  # not until nothing has moved for long
        self.assertEqual(json.loads(pushed.stdout.splitlines()[0])["cut_off"], "5-800")
        self.assertIn("lead to was lost", json.loads(pushed.stderr)["message"])
        other.end()
        said = self.error(NOT_FOUND, "export", self.author, "--jsonl", "-o", "left")
        self.assertIn("left out: 5-800", said)
        self.assertEqual(self.json("import", "--jsonl", "left", store="third")["entries_added"], 3)
        self.assertIn("are not served until", self.text("repair", "--dry-run"))
        done = self.text("repair", "--from", self.peer.address)
        self.assertIn("replaced 1 entry: 4\n", done)
        self.assertNotIn("not served", done)
        self.assert_clean()

    def test_of_one_entry_that_is_cut_off_it_speaks_in_the_singular(self):
        self.rot_entry("store", ENTRIES - 1)
        said = self.text("repair", "--dry-run")
        self.assertIn("1 entry: 800 proves nothing and is not served until", said)

    def test_a_damaged_state_of_a_log_is_made_again(self):
        self.rot("store", bytes.fromhex(self.author) + bytes(8) + b"\x03", ahead=-43)
        self.rot_payload("store", 400)
        self.assertIn("`culm repair --dry-run`", self.error(STORE, "verify"))
        self.assertIn("would make its state again", self.text("repair", "--dry-run"))
        done = self.text("repair", "--from", self.peer.address)
        self.assertIn("made its state again", done)
        self.assert_sound("store")
        self.out("sync", self.peer.address)
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))

    def test_what_a_file_that_was_cut_has_lost_is_counted(self):
        size = os.path.getsize(self.path("store/data.mdb"))
        for peer in [], ["--from", self.peer.address]:
            shutil.rmtree(self.path("rotten"), ignore_errors=True)
            shutil.copytree(self.path("store"), self.path("rotten"))
            os.truncate(self.path("rotten/data.mdb"), size // 2)
            done = self.on_copy("repair", *peer)
            self.assertEqual(done.returncode, OK if peer else NOT_FOUND, done.stderr)
            if not peer:
                left = self.json("ls", store="rotten")["entries"]
                self.assertIn(f"lost here: {ENTRIES - left} entries\n", done.stderr)
                step = self.assert_lost(f"{left + 1}-{ENTRIES}", store="rotten")
                shutil.copytree(self.path("rotten"), self.path("less"))
                self.paste_ways(step, store="less")
                self.assert_clean("less")
        self.assertEqual(self.json("ls", store="rotten")["entries"], ENTRIES)

    def test_where_a_state_is_lost_all_is_wanted_but_what_no_damage_has_taken(self):
        self.out("delete", self.author, "--payloads", "--range", "5-9")
        self.sync_one("part", self.peer.address, self.author, "--newest", "100")
        for store in ("store", "part"):
            log = self.json("ls", store=store)
            deleted = log["entries"] + log["certificate_entries"] - log["payloads"]
            absent = ENTRIES - log["entries"] - log["certificate_entries"]
            for how in ("repair", "sync"):
                with self.subTest(store=store, how=how):
                    shutil.rmtree(self.path("rotten"), ignore_errors=True)
                    shutil.copytree(self.path(store), self.path("rotten"))
                    self.lose_states("rotten")
                    words = f"{deleted} payloads that were gone before count as deleted"
                    self.assertIn("would make its state again from what is here", self.on_copy(
                        "repair", "--dry-run").stdout)
                    done = self.on_copy("repair", *["--from", self.peer.address][:2 * (how == "repair")])
                    is_whole = how == "repair" or absent == 0
                    self.assertEqual(done.returncode, OK if is_whole else NOT_FOUND, done.stderr)
                    less = f"`culm --store {self.path('rotten')} select` wants less"
                    self.assertIn(f"all of it is wanted ({less}); {words}", done.stdout)
                    self.assertEqual(f"; up to {absent} entries are lost, or were never here" in done.stdout,
                                     absent != 0)
                    if how == "sync":
                        self.out("sync", self.peer.address, store="rotten")
                    log = self.json("ls", store="rotten")
                    self.assertEqual((log["held"], log["payloads_deleted"], log["complete"]),
                                     (f"1-{ENTRIES}", deleted, True))
                    self.assert_sound("rotten")
                    self.out("sync", self.peer.address, self.author, "--undelete", store="rotten")
                    self.assertEqual(self.printed("rotten", self.author), self.lines(ENTRIES))

    def test_large_payloads_that_are_lost_with_the_state_do_not_pass_for_deleted(self):
        """Where rows of theirs may be lost, nothing tells which of them were deleted."""
        key = self.keygen("large.key")
        self.author = key[1]
        for n in range(1, 11):
            self.out("append", "--key", key[0], stdin=b"%d" % n * 40_000, store="peer2")
        peer = self.relay("peer2", "--accept-any")
        self.sync_one("large", peer.address, self.author)
        self.out("append", "--key", key[0], stdin=b"small", store="peer2")
        self.sync_one("large", peer.address, self.author)
        self.out("delete", self.author, "--payloads", "--range", "2-3,11", store="large")
        stages = [(1).to_bytes(8, "big") + n.to_bytes(8, "big") + stage.to_bytes(8, "big")
                  for n in (5, 6) for stage in range(30)]
        self.lose_pages("large", [self.state_row(), *stages])
        for how in ("repair", "sync", "delete"):
            with self.subTest(how=how):
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("large"), self.path("rotten"))
                dry = self.on_copy("repair", "--dry-run").stdout
                self.assertIn("; 1 payload that was gone before counts as deleted;", dry)
                self.assertIn("10 payloads are lost, or were deleted or never here, which nothing "
                              "tells: 1-10;", dry)
                from_peer = ["--from", peer.address] if how == "repair" else []
                done = self.on_copy("repair", *from_peer)
                self.assertEqual(done.returncode, OK if from_peer else NOT_FOUND, done.stderr)
                self.assertIn("10 payloads are lost, or were deleted", done.stdout)
                if how == "delete":
                    self.out("delete", self.author, "--payloads", "--range", "2-3", store="rotten")
                self.out("sync", peer.address, store="rotten")
                log = self.json("ls", store="rotten")
                deleted = 3 if how == "delete" else 1
                self.assertEqual((log["payloads"], log["payloads_deleted"], log["complete"]),
                                 (11 - deleted, deleted, True))
                self.assert_sound("rotten")

    def test_what_is_lost_besides_a_state_is_said_before(self):
        self.lose_states("store")
        self.rot_entry("store", 77)
        self.rot_payload("store", 400)
        dry = self.text("repair", "--dry-run")
        self.assertIn("would make its state again", dry)
        self.assertIn("would drop 1 entry: 77; 1 payload: 400\n", dry)
        done = self.run_culm("repair", status=NOT_FOUND).stdout.decode()
        self.assertIn("dropped 1 entry: 77; 1 payload: 400\n", done)
        self.assert_lost("77", "400")

    def test_entries_that_the_newest_so_many_no_more_are_need_not_come_back(self):
        self.sync_one("part", self.peer.address, self.author, "--newest", "100")
        held = self.json("ls", store="part")["held"]
        for n in range(780, 801):
            self.rot_entry("part", n)
        done = self.text("repair", "--from", self.peer.address, store="part")
        self.assertNotIn("not replaced", done)
        self.assertEqual(self.json("ls", store="part")["held"], held)
        self.assert_sound("part")

    def test_what_is_wanted_and_held_is_proven_again_where_its_proof_was_lost(self):
        self.sync_one("part", self.peer.address, self.author, "--newest", "100")
        held = self.json("ls", store="part")["held"]
        for n in range(1, 701):
            self.rot_row("part", n)
        for verb in (["sync"], ["repair", "--from"]):
            with self.subTest(verb=verb):
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("part"), self.path("rotten"))
                self.out("repair", store="rotten", status=NOT_FOUND)
                self.assertEqual(self.json("ls", store="rotten")["held"], "701-800")
                self.out(*verb, self.peer.address, store="rotten")
                self.assertEqual(self.json("ls", store="rotten")["held"], held)
                self.assert_sound("rotten")

    def test_beside_a_node_the_node_does_it(self):
        self.rot_entry("store", 77)
        node = self.relay("store")
        self.out("repair", "--from", self.peer.address)
        node.end()
        self.assert_sound("store")
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))

    def test_peers_that_do_not_have_it_or_do_not_answer_are_named(self):
        self.rot_entry("store", 77)
        self.peer.end()
        said = self.error(NETWORK, "repair", "--from", self.peer.address)
        self.assertIn("not all that was lost was replaced", said)
        self.assertIn("nobody listens there", said)
        self.assertEqual(self.json("ls")["held"], "1-76,78-800")
        said = self.error(USAGE, "repair", "--from", self.peer.address, "--dry-run")
        self.assertIn("first `culm repair --dry-run`, then", said)
        self.error(USAGE, "repair", "--from", "nowhere")

    def rot_page(self, store, seed):
        """Flips bits of a page of entries; with its own, rows are not where they should be."""
        chance, page_bytes = random.Random(seed), 4096
        content = bytearray((self.place / store / "data.mdb").read_bytes())
        pages = [at for at in range(0, len(content), page_bytes)
                 if content.count(b"of a log of some length", at, at + page_bytes) > 4]
        page = chance.choice(pages)
        for _ in range(chance.choice((2, 8, 100))):
            content[page + chance.randrange(page_bytes)] ^= 1 << chance.randrange(8)
        (self.place / store / "data.mdb").write_bytes(content)

    def test_a_damaged_page_is_mended(self):
        for seed in range(16):
            with self.subTest(seed=seed):
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("store"), self.path("rotten"))
                self.rot_page("rotten", seed)
                verify, repair, again = (
                    self.on_copy(*verb)
                    for verb in (["verify"], ["repair", "--from", self.peer.address], ["verify"]))
                self.assertNotIn("bug", verify.stderr + repair.stderr + again.stderr)
                self.assertIn(verify.returncode, (OK, STORE), verify.stderr)
                self.assertEqual((repair.returncode, again.returncode), (OK, OK),
                                 repair.stderr + again.stderr)
                self.assertEqual(self.printed("rotten", self.author), self.lines(ENTRIES))

    def test_each_page_of_random_bytes_is_mended_and_said_before(self):
        """With another log, a large payload, and payloads that were deleted."""
        other = self.keygen("other.key")
        with open(self.path("large"), "wb") as file:
            file.write(random.Random(1).randbytes(200_000))
        self.out("append", "--key", other[0], "large")
        self.out("delete", self.author, "--payloads", "--range", "5-9")
        self.sync_one("store", self.peer.address, "--push", other[1])
        data = (self.place / "store/data.mdb").read_bytes()
        pages = range(len(data) // PAGE)
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        mended = 0
        for page in [0, 1, *chance.sample(pages[2:], 30)]:
            with self.subTest(seed=seed, page=page):
                shutil.rmtree(self.path("rotten"), ignore_errors=True)
                shutil.copytree(self.path("store"), self.path("rotten"))
                rotten = data[:page * PAGE] + chance.randbytes(PAGE) + data[(page + 1) * PAGE:]
                (self.place / "rotten/data.mdb").write_bytes(rotten)
                is_bad = self.on_copy("verify").returncode == STORE
                dry = self.on_copy("repair", "--dry-run")
                self.assertEqual(dry.returncode, OK, dry.stderr)
                self.assertEqual("nothing is damaged" not in dry.stdout, is_bad, dry.stdout)
                self.assertEqual((self.place / "rotten/data.mdb").read_bytes(), rotten)
                done = self.on_copy("repair", "--from", self.peer.address)
                is_told = "how many entries it had nothing tells" not in done.stdout
                self.assertEqual(done.returncode, OK if is_told else NOT_FOUND, done.stderr)
                self.assertEqual("would write the file again" in dry.stdout,
                                 "wrote the file again" in done.stdout, dry.stdout + done.stdout)
                mended += is_bad
                after = self.on_copy("verify")
                self.assertEqual(after.returncode, OK, after.stderr)
                held = {log["log"]: log["held"]
                        for log in self.parse_lines(self.on_copy("ls", "--json").stdout)}
                self.assertEqual(held, {self.author: f"1-{ENTRIES}", other[1]: "1"})
                self.assertFalse((self.place / "rotten/salvage").exists())
        self.assertGreater(mended, 0)

    def test_what_an_export_reads_a_repair_and_a_compaction_keep(self):
        """One bit of the number that a page bears."""
        data = (self.place / "store/data.mdb").read_bytes()
        leaves = [at for at in range(2 * PAGE, len(data), PAGE) if data[at + 10] == 2]
        chance = random.Random(1)
        for at in chance.sample(leaves, 8):
            for verb in ["repair"], ["compact"]:
                with self.subTest(page=at // PAGE, verb=verb):
                    shutil.rmtree(self.path("rotten"), ignore_errors=True)
                    shutil.copytree(self.path("store"), self.path("rotten"))
                    rotten = bytearray(data)
                    rotten[at] ^= 1 << chance.randrange(8)
                    (self.place / "rotten/data.mdb").write_bytes(rotten)
                    before = self.on_copy("export", self.author, "--jsonl").stdout
                    done = self.on_copy(*verb)
                    self.assertIn(done.returncode, (OK, STORE), done.stderr)
                    after = self.on_copy("export", self.author, "--jsonl").stdout
                    self.assertLessEqual(set(before.splitlines()), set(after.splitlines()))
                    if verb == ["repair"]:
                        self.assert_sound("rotten")

    def test_where_a_state_and_entries_are_lost_no_damage_is_left(self):
        """Of the last entries stages are left, and a payload that is damaged."""
        key = self.keygen("large.key")
        for n in range(1, 41):
            self.out("append", "--key", key[0], stdin=bytes([n]) * (n * 7000), store="rotten")
        self.sync_one("rotten", self.peer.address, "--push", key[1])
        self.out("compact", store="rotten")
        data = bytearray((self.place / "rotten/data.mdb").read_bytes())
        row = (1).to_bytes(8, "big") + (40).to_bytes(8, "big") + b"\x03"
        for mark in bytes.fromhex(key[1]) + bytes(8) + b"\x03", row:
            for at in range(len(data) // PAGE):
                if mark in data[at * PAGE:(at + 1) * PAGE]:
                    data[at * PAGE:(at + 1) * PAGE] = bytes(PAGE)
        data[data.index(bytes([39]) * 5000)] ^= 1
        (self.place / "rotten/data.mdb").write_bytes(data)
        dry = self.text("repair", "--dry-run", store="rotten")
        lost = re.search(r"; nothing is left in it of (\d+) entries\n", dry)
        self.error(NOT_FOUND, "repair", store="rotten")
        self.assertEqual(self.json("ls", store="rotten")["entries"], 40 - int(lost[1]))
        self.run_culm("verify", store="rotten", status=NOT_FOUND)
        self.assertIn("nothing is damaged\n", self.on_copy("repair").stdout)
        self.out("sync", self.peer.address, store="rotten")
        self.assert_sound("rotten")
        self.assertEqual(self.json("ls", store="rotten")["payloads"], 40)

    def test_what_is_cut_is_mended_from_a_peer_and_an_emptied_file_is_damage_beyond_that(self):
        data = self.place / "store/data.mdb"
        self.out("compact")
        os.truncate(data, data.stat().st_size // 2 // PAGE * PAGE)
        self.assertIn("`culm repair --dry-run`", self.error(STORE, "verify"))
        self.out("repair", "--from", self.peer.address)
        self.assert_sound("store")
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))
        for size in (0, 2 * PAGE):
            data.write_bytes(bytes(size))
            for verb in (["ls"], ["verify"], ["repair", "--dry-run"], ["repair"], ["du"],
                         ["sync", self.peer.address], ["cat", self.author], ["append", "--key",
                                                                             self.key[0], "/dev/null"]):
                self.assertIn("restore a backup; or move the store away", self.error(STORE, *verb))
            self.assertEqual(data.read_bytes(), bytes(size))
        shutil.move(self.path("store"), self.path("away"))
        self.sync_one("store", self.peer.address, self.author)
        self.out("append", "--key", self.key[0], "--lines", stdin=b"goes on\n")
        self.assertEqual(self.json("ls")["head"], ENTRIES + 1)

    def test_large_payloads_that_were_cut_off_are_mended_at_once(self):
        key = self.keygen("large.key")
        for n in range(1, 41):
            self.out("append", "--key", key[0], stdin=bytes([n]) * (n * 7000), store="large")
        self.sync_one("large", self.peer.address, "--push", key[1])
        data = self.place / "large/data.mdb"
        whole = data.read_bytes()
        for part in 20, 40, 50, 60, 75:
            with self.subTest(part=part):
                data.write_bytes(whole)
                os.truncate(data, len(whole) * part // 100)
                self.out("repair", "--from", self.peer.address, store="large")
                self.assert_sound("large")
                self.assertEqual(self.json("ls", store="large")["held"], "1-40")

    def test_an_author_who_lost_their_newest_entry_does_not_fork(self):
        self.rot_entry("store", 800)
        self.error(NOT_FOUND, "repair")
        self.assertEqual(self.json("ls")["head"], 799)
        self.error(FORK, "append", "--key", self.key[0], stdin=b"would be entry 800 again")
        self.out("repair", self.author, "--from", self.peer.address)
        self.sync_one("store", self.peer.address, self.author)
        self.out("append", "--key", self.key[0], stdin=b"entry 801")
        self.assertEqual(self.json("ls")["head"], 801)
        self.sync_one("store", self.peer.address, "--push", self.author)

    def test_an_author_whose_newest_payload_rotted_goes_on(self):
        self.rot_payload("store", 800)
        self.assertIn("lost here: 1 payload\n", self.error(NOT_FOUND, "repair"))
        self.out("append", "--key", self.key[0], stdin=b"entry 801")
        self.assertEqual(self.json("ls")["head"], 801)


class Export(Rotten):
    def test_an_entry_whose_payload_is_damaged_is_exported_without_it(self):
        key = self.keygen()
        self.author = self.new_log(self.lines(300), key=key)
        self.write("large", "this one is large " + "x" * 100_000)
        self.out("append", "--key", key[0], "large")
        self.out("append", "--key", key[0], stdin=b"the last")
        self.rot_payload("store", 150)
        self.rot("store", b"this one is large")

        said = self.error(STORE, "export", self.author, "--jsonl", "-o", "file")
        self.assertIn("left out: 2 payloads, of 150,301; the rest is in file", said)
        piped = self.run_culm("--json", "export", self.author, "--jsonl", status=STORE)
        self.assertEqual(json.loads(piped.stderr)["damaged"], "150,301")
        with open(self.path("file"), "rb") as file:
            self.assertEqual(file.read(), piped.stdout)
        report = self.json("import", "--jsonl", "file", store="other")
        self.assertEqual((report["entries_added"], report["payloads_added"]), (302, 300))
        self.assert_sound("other")
        self.assertEqual(self.json("ls", store="other")["payloads_missing"], "150,301")
        # A part leaves out nothing that was asked for, though it is proven by what is damaged.
        self.out("export", self.author, "--jsonl", "--range", "149", "-o", "part")
        self.out("import", "--jsonl", "part", store="third")

    def test_an_entry_that_is_lost_is_left_out_and_named(self):
        self.author = self.new_log(self.lines(300))
        self.rot_entry("store", 150)
        self.assertIn("damaged and left out: 150; the rest",
                      self.error(STORE, "export", self.author, "--jsonl", "-o", "file"))


if __name__ == "__main__":
    main()
