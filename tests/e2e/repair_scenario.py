"""A store that is damaged, and how it is made whole again; copies of a store; a full disk."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import time

from relay_harness import NetworkScenario
from scenario import CULM, FORK, NETWORK, NOT_FOUND, OK, STORE, USAGE, main

ENTRIES = 800
PAGE = 4096


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

    def rot_row(self, store, n):
        """The row of an entry of the first log, if it is there."""
        row = (1).to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"
        if row in (self.place / store / "data.mdb").read_bytes():
            self.rot(store, row, ahead=-60)

    def rot_payload(self, store, n):
        self.rot(store, b"line %d of" % n)

    def rot_entry(self, store, n):
        """In the signature, which is the last of an entry."""
        self.rot(store, b"line %d of" % n, ahead=5)


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
        self.assertIn("`culm repair --from HOST:PORT`; where nobody has it", failure["next"])
        self.assertIn("--log-id N", failure["next"])
        self.assert_sound("store")
        log = self.json("ls")
        self.assertEqual((log["held"], log["payloads"]), ("1-76,78-800", 798))
        self.out("repair", self.author, "--from", self.peer.address)
        self.sync_one("store", self.peer.address, self.author)
        self.assertEqual(self.printed("store", self.author), self.lines(ENTRIES))

    def test_what_an_earlier_run_has_dropped_is_taken_again(self):
        self.rot_entry("store", 77)
        self.rot_payload("store", 400)
        self.rot_entry("store", 800)  # behind the new head, where nothing tells of it
        self.assertIn("lost here are 2 entries, 1 payload", self.error(NOT_FOUND, "repair"))
        self.assertEqual(self.json("ls")["held"], "1-76,78-799")
        gone = self.relay("gone", "--accept-any")
        gone.end()
        said = self.error(NETWORK, "repair", "--from", gone.address)
        self.assertIn("repair again with another peer", said)
        self.assertIn("replaced 1 entry: 77; 1 payload: 400\n",
                      self.text("repair", "--from", self.peer.address))
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

    def test_an_entry_that_only_proves_others_is_taken_again(self):
        self.sync_one("part", self.peer.address, self.author, "--range", "300-500")
        held = self.json("ls", store="part")["held"]
        inspected = self.json("inspect", self.author, "121", store="part")
        self.rot("part", bytes.fromhex(inspected["signature"]))
        self.assertIn("121", self.repair("--dry-run", store="part")[0]["damaged_entries"])
        self.out("repair", "--from", self.peer.address, store="part")
        self.assertEqual(self.json("ls", store="part")["held"], held)
        self.assert_sound("part")

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
        self.assertIn("culm repair --from", self.run_culm("verify", status=4).stderr.decode())
        said = self.error(FORK, "append", "--key", self.key[0], stdin=b"more")
        self.assertIn("where no peer has it, begin another one with --log-id", said)
        other = self.relay("other", "--accept-any")
        begun = time.monotonic()
        pushed = self.run_culm("sync", "--push", other.address, self.author, "--json",
                               status=NOT_FOUND)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(json.loads(pushed.stdout.splitlines()[0])["cut_off"], "5-800")
        self.assertIn("lead to was lost", json.loads(pushed.stderr)["message"])
        other.end()
        said = self.error(NOT_FOUND, "export", self.author, "--jsonl", "-o", "left")
        self.assertIn("left out: 5-800", said)
        self.assertEqual(self.json("import", "--jsonl", "left", store="third")["entries_added"], 3)
        self.assertIn("are not served until", self.text("repair", "--dry-run"))
        self.out("repair", "--from", self.peer.address)
        self.assert_sound("store")

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

    def test_where_a_state_is_lost_all_is_wanted_but_what_may_have_been_deleted(self):
        self.out("delete", self.author, "--payloads", "--range", "5-9")
        self.sync_one("part", self.peer.address, self.author, "--newest", "100")
        for store in ("store", "part"):
            log = self.json("ls", store=store)
            deleted = log["entries"] + log["certificate_entries"] - log["payloads"]
            for how in ("repair", "sync"):
                with self.subTest(store=store, how=how):
                    shutil.rmtree(self.path("rotten"), ignore_errors=True)
                    shutil.copytree(self.path(store), self.path("rotten"))
                    self.lose_states("rotten")
                    words = f"{deleted} payloads that are not here count as deleted"
                    self.assertIn("would make its state again from what is here", self.on_copy(
                        "repair", "--dry-run").stdout)
                    done = self.on_copy("repair", *["--from", self.peer.address][:2 * (how == "repair")])
                    self.assertEqual(done.returncode, OK, done.stderr)
                    self.assertIn("all of it is wanted (`culm select` wants less); " + words, done.stdout)
                    if how == "sync":
                        self.out("sync", self.peer.address, store="rotten")
                    log = self.json("ls", store="rotten")
                    self.assertEqual((log["held"], log["payloads_deleted"], log["complete"]),
                                     (f"1-{ENTRIES}", deleted, True))
                    self.assert_sound("rotten")
                    self.out("sync", self.peer.address, self.author, "--undelete", store="rotten")
                    self.assertEqual(self.printed("rotten", self.author), self.lines(ENTRIES))

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

    def lose_states(self, store):
        """Each page in which a state of a log lies."""
        data = self.place / store / "data.mdb"
        content = bytearray(data.read_bytes())
        row = bytes.fromhex(self.author) + bytes(8) + b"\x03"
        place = content.find(row)
        while place != -1:
            page = place // PAGE * PAGE
            content[page:page + PAGE] = bytes(PAGE)
            place = content.find(row)
        data.write_bytes(content)

    def on_copy(self, *verb):
        return subprocess.run([CULM, "--store", self.path("rotten"), *verb], capture_output=True,
                              text=True, env=self.environment, timeout=60)

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
                self.assertEqual(done.returncode, OK, done.stderr)
                self.assertEqual("would write the file again" in dry.stdout,
                                 "wrote the file again" in done.stdout, dry.stdout + done.stdout)
                mended += is_bad
                after = self.on_copy("verify")
                self.assertEqual(after.returncode, OK, after.stderr)
                held = {log["log"]: log["held"]
                        for log in map(json.loads, self.on_copy("ls", "--json").stdout.splitlines())}
                self.assertEqual(held, {self.author: f"1-{ENTRIES}", other[1]: "1"})
                self.assertFalse((self.place / "rotten/salvage").exists())
        self.assertGreater(mended, 0)

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
        self.assertIn("lost here are 1 payload\n", self.error(NOT_FOUND, "repair"))
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


class Backup(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(ENTRIES), key=self.key)

    def test_a_backup_is_a_store(self):
        report = self.json("backup", "copy")
        self.assertEqual(os.listdir(self.path("copy")), ["data.mdb"])
        self.assertEqual(report["bytes"], os.path.getsize(self.path("copy/data.mdb")))
        self.assert_sound("copy")
        self.assertEqual(self.printed("copy", self.author), self.lines(ENTRIES))
        self.assertEqual(self.json("ls"), self.json("ls", store="copy"))
        self.out("append", "--key", self.keygen("other")[0], stdin=b"more", store="copy")

    def test_a_backup_beside_a_node_that_writes_is_of_one_moment(self):
        self.relay("store", "--accept-any")
        for n in range(5):
            writing = subprocess.Popen(
                [CULM, "append", "--key", self.key[0], "--lines"], cwd=self.place,
                env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            writing.stdin.write(b"".join(b"more %d\n" % m for m in range(2000)))
            writing.stdin.close()
            self.out("backup", f"copy{n}")
            self.assertEqual(writing.wait(timeout=60), 0)
            self.assert_sound(f"copy{n}")

    def test_of_a_damaged_store_nothing_is_left_and_repair_is_the_next_step(self):
        data = self.place / "store/data.mdb"
        good = data.read_bytes()
        (self.place / "there").mkdir()
        refused = 0
        for page in range(0, len(good) // PAGE, 8):
            data.write_bytes(good[:page * PAGE] + bytes(PAGE) + good[(page + 1) * PAGE:])
            for copy in ("copy", "there"):
                done = subprocess.run([CULM, "backup", copy], cwd=self.place, timeout=60,
                                      env=self.environment, capture_output=True)
                said = done.stderr.decode()
                self.assertIn(done.returncode, (OK, STORE), said)
                if done.returncode == STORE:
                    refused += 1
                    self.assertIn("`culm repair --dry-run`", said)
                    self.assertNotIn("mdb.c", said)
                    self.assertEqual(said.count("damaged"), 2, said)
                    self.assertFalse((self.place / "copy").exists())
                    self.assertEqual(list((self.place / "there").iterdir()), [])
                shutil.rmtree(self.path("copy"), ignore_errors=True)
                for file in (self.place / "there").iterdir():
                    file.unlink()
        self.assertGreater(refused, 0)

    def test_a_place_that_is_not_empty_is_refused_and_left_as_it_is(self):
        os.mkdir(self.path("full"))
        self.write("full/mine", "text")
        self.assertIn("full: the directory is not empty", self.error(USAGE, "backup", "full"))
        self.assertEqual(os.listdir(self.path("full")), ["mine"])
        self.error(USAGE, "backup", "store")
        self.out("backup", "copy")
        self.error(USAGE, "backup", "copy")
        os.mkdir(self.path("empty"))
        self.out("backup", "empty")
        self.assert_sound("empty")

    def test_a_backup_that_is_killed_leaves_nothing_that_passes_for_one(self):
        self.new_log(("x" * 30000 for _ in range(2000)), key=self.keygen("big"))
        seen = set()
        for n in range(12):
            copy = f"killed{n}"
            backup = self.start("backup", copy)
            part = self.path(f"{copy}/data.mdb.part")
            deadline = time.monotonic() + 30
            while not os.path.exists(part) and backup.poll() is None:
                self.assertLess(time.monotonic(), deadline)
            while (backup.poll() is None and os.path.exists(part)
                   and os.path.getsize(part) < n * 5_000_000):
                self.assertLess(time.monotonic(), deadline)
            backup.send_signal(signal.SIGKILL)
            backup.wait(timeout=30)
            if os.path.exists(part):
                with open(part) as file:
                    fcntl.flock(file, fcntl.LOCK_EX)  # the process that copied has ended, too
            is_whole = os.path.exists(self.path(f"{copy}/data.mdb"))
            seen.add(is_whole)
            if is_whole:
                self.assert_sound(copy)
                continue
            self.error(3, "verify", store=copy)
            self.out("backup", copy)
            self.assertEqual(os.listdir(self.path(copy)), ["data.mdb"])
            self.assert_sound(copy)
        self.assertIn(False, seen)


class FullDisk(NetworkScenario):
    """Disks of few megabytes, in a namespace of their own."""

    def in_small_place(self, script, megabytes=6):
        """The lines that `script` prints on such a disk."""
        probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
        if probe.returncode != 0:
            self.skipTest("no namespace to mount a small disk in")
        os.mkdir(self.path("disk"))
        text = (f"set -u; mount -t tmpfs -o size={megabytes}m none {self.path('disk')}\n"
                f"export CULM_STORE={self.path('disk')}/store\n{script}")
        done = subprocess.run(["unshare", "-rm", "bash", "-c", text], cwd=self.place,
                              env={**self.environment, "C": CULM}, capture_output=True,
                              timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode().splitlines()

    FILL = """
      $C keygen me.key >author
      A=$(cat author)
      for i in $(seq 300); do head -c 30000 /dev/urandom | base64 -w 3000; done >input
      $C append --key me.key --lines <input >/dev/null 2>&1
      echo append $?
      cat /dev/zero >disk/rest 2>/dev/null
      echo free $(df --output=avail disk | tail -1)
    """

    def test_payloads_are_deleted_on_a_full_disk(self):
        lines = self.in_small_place(self.FILL + """
          $C --json delete $A --payloads --range 1-1000 >deleted; echo delete $?
          $C verify >/dev/null; echo verify $?
          seq 100 | $C append --key me.key --lines >/dev/null; echo append $?
          $C delete $A --payloads --range 1001- >/dev/null; echo delete $?
          $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 5", "free 0", "delete 0", "verify 0", "append 0",
                                 "delete 0", "verify 0"])
        with open(self.path("deleted")) as file:
            self.assertGreater(json.load(file)["deleted"], 100)

    def test_beside_a_node_as_well(self):
        lines = self.in_small_place("""
          $C keygen me.key >author; A=$(cat author)
          for i in $(seq 90); do head -c 30000 /dev/urandom | base64 -w 0; echo; done >input
          $C append --key me.key --lines <input >/dev/null 2>&1; echo append $?
          $C relay --listen 127.0.0.1:0 >ready 2>said & R=$!
          until grep -sq 'listens at' ready; do kill -0 $R || exit 1; done
          cat /dev/zero >disk/rest 2>/dev/null; echo free $(df --output=avail disk | tail -1)
          $C delete $A --payloads --range 1- >/dev/null; echo delete $?
          kill $R; wait $R; $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 0", "free 0", "delete 0", "verify 0"])


if __name__ == "__main__":
    main()
