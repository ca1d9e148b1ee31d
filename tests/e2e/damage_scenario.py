"""A store that is damaged under a relay and under verbs that write."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

from relay_harness import Node
from rotten import PAGE, Rotten
from scenario import CULM, NETWORK, NOT_FOUND, OK, STORE, main

ENTRIES = 800


class Damage(Rotten):
    def setUp(self):
        super().setUp()
        # The signal is what the program looks at; a sanitizer would report it instead.
        self.environment["ASAN_OPTIONS"] = "handle_segv=0:handle_sigbus=0:handle_abort=0"

    def data(self, store):
        return self.path(f"{store}/data.mdb")

    def wait_for_end(self, node):
        self.assertEqual(node.process.wait(timeout=30), STORE, node.said())
        failure = json.loads(node.said().splitlines()[-1])  # it runs with --json
        self.assertEqual((failure["type"], failure["error"], failure["exit"], failure["about"]),
                         ("failure", "store_damaged", STORE, f"store {node.store}"))

    def test_a_relay_serves_all_but_a_rotten_row_and_takes_it_again_from_a_peer(self):
        relay = self.relay("relay", "--accept-any")
        author = self.push_lines(ENTRIES, relay)[1]
        relay.end()
        self.rot("relay", b"line 77 of")
        relay = self.relay("relay", "--accept-any")

        # Whether the relay still said that it holds the row is a matter of time.
        done = self.run_damaged(["sync", relay.address, author, "--json"], store="reader")
        self.assertIn(done.returncode, (NOT_FOUND, NETWORK), done.stderr)
        told = json.loads(done.stdout.splitlines()[0])
        self.assertEqual((told["missing"], told["payloads_missing"]), ("", "77"), done.stdout)
        lines = self.lines(ENTRIES)
        self.assertEqual(self.printed("reader", author), lines[:76] + lines[77:])
        self.wait_until_said(relay, f"store {relay.store}: log {author}: damaged at 77")
        self.assertIn("is taken again from a peer that offers it; "
                      f"`culm --store {relay.store} repair --from HOST:PORT` asks", relay.said())

        pushed = self.sync_one("author", relay.address, "--push", author)
        self.assertTrue(pushed["pushed"], pushed)
        self.sync_one("reader", relay.address, author)
        self.assertEqual(self.printed("reader", author), lines)
        self.assertEqual(relay.said().count("damaged"), 1, relay.said())
        relay.end()
        self.assert_sound("relay", "reader")

    def test_a_sync_is_not_whole_where_the_relay_has_lost_some_of_the_log(self):
        for lost in 1, ENTRIES:
            relay = self.relay(f"relay{lost}", "--accept-any")
            author = self.push_lines(ENTRIES, relay, f"{lost}.key", f"author{lost}")[1]
            relay.end()
            self.rot_row(f"relay{lost}", lost)
            relay = self.relay(f"relay{lost}", "--accept-any")
            # The relay meets the damage, and afterwards counts the entry as not held.
            for n, asked in enumerate(([], [], ["--newest", "1"])):
                done = self.run_damaged(["sync", relay.address, author, *asked, "--json"],
                                        store=f"reader{lost}.{n}")
                self.assertEqual(done.returncode, NETWORK, done.stdout)
                told = json.loads(done.stdout.splitlines()[0])
                self.assertEqual((told["state"], told["error"]), ("partial", "peer_store"), told)
                self.assertNotIn("whole", told)
                failure = json.loads(done.stderr.splitlines()[-1])
                self.assertEqual((failure["error"], failure["exit"]), ("peer_store", NETWORK))
                self.assertIn("culm repair --from HOST:PORT", failure["next"])
            done = self.run_damaged(["sync", relay.address, author], store=f"reader{lost}")
            self.assertIn("the store of the peer is damaged", done.stdout.decode())
            self.assertNotIn("all the peer holds", done.stdout.decode())
            self.wait_until_said(relay, "damaged")
            self.assertEqual(relay.said().count("damaged"), 1, relay.said())

            pushed = self.sync_one(f"author{lost}", relay.address, "--push", author)
            self.assertTrue(pushed["pushed"], pushed)
            self.sync_one(f"reader{lost}", relay.address, author)
            self.assertEqual(self.printed(f"reader{lost}", author), self.lines(ENTRIES))
            relay.end()

    def test_payloads_that_a_relay_cannot_read_are_not_said_to_be_held_by_nobody(self):
        one, two = (self.relay(name, "--accept-any") for name in ("one", "two"))
        author = self.push_lines(20, one)[1]
        self.sync_one("author", two.address, "--push", author)
        for relay in one, two:
            relay.end()
        self.rot_payload("one", 7)
        self.out("delete", author, "--payloads", "--range", "7", store="two")
        one, two = self.relay("one"), self.relay("two")
        name = author[:12]
        for n in range(2):
            store = f"reader{n}"
            done = self.run_culm("sync", one.address, author, store=store, status=NETWORK)
            said = done.stdout.decode()
            self.assertIn(f"{name}: the store of the peer is damaged: the payloads of 1 entry that "
                          "are wanted did not come: 7\n", said)
            self.assertNotIn("does not hold", said)
            both = ["sync", two.address, "--also", one.address, author]
            done = self.run_culm(*both, store=store, status=NOT_FOUND)
            said = done.stdout.decode()
            self.assertIn(f"{name}: no peer brings the payloads of 1 entry that are wanted: 7\n"
                          f"{name}: the peer at {one.address} has lost some of it: its store is "
                          "damaged\n", said)
            self.assertNotIn("do not hold", said)
            self.assertIn("`culm verify` there", done.stderr.decode())
            line = self.json_lines(*both, store=store, status=NOT_FOUND)[0]
            self.assertEqual(line["peers_damaged"], [{"address": one.address}])
        quote = ["sync", one.address, author, "--quote"]
        done = self.run_culm(*quote, store="quoting", status=NETWORK)
        self.assertIn(f"{name}: the store of the peer is damaged: the payloads of 1 entry that are "
                      "wanted would not come: 7\n", done.stdout.decode())
        self.assertIn("not all that is wanted would come: the peer's store", done.stderr.decode())
        line = self.json_lines(*quote, store="quoting", status=NETWORK)[0]
        self.assertEqual((line["missing"], line["payloads_missing"]), ("", "7"))
        # Of a node that does it, the same.
        self.relay("reader0")
        line = self.json_lines(*both, store="reader0", status=NOT_FOUND)[0]
        self.assertEqual(line["peers_damaged"], [{"address": one.address}])
        done = self.run_culm("sync", two.address, author, store="reader1", status=NOT_FOUND)
        self.assertIn("the peer does not hold the payloads of 1 entry", done.stdout.decode())

    def test_of_a_damaged_log_what_lies_beyond_its_head_is_not_said_to_lack(self):
        for lost, did_not, beyond in ((7, "1 entry of what is wanted did not come: 7; ", 20),
                                      (20, "", 19)):
            relay = self.relay(f"relay{lost}", "--accept-any")
            author = self.push_lines(20, relay, f"{lost}.key", f"author{lost}")[1]
            relay.end()
            self.rot_row(f"relay{lost}", lost)
            relay = self.relay(f"relay{lost}", "--accept-any")
            self.wait_until_said(relay, f"damaged at {lost};")
            done = self.run_damaged(["sync", relay.address, author, "--range", "5-30"],
                                    store=f"reader{lost}")
            self.assertIn(f"the store of the peer is damaged: {did_not}", done.stdout.decode())
            quoted = self.run_damaged(["sync", relay.address, author, "--range", "5-30", "--quote"],
                                      store=f"quoting{lost}")
            for said in done.stdout.decode(), quoted.stdout.decode():
                self.assertIn(f"{beyond + 1}-30 of what is wanted lies beyond {beyond}, the highest "
                              "entry that it can show\n", said)

    def row_key(self, n):
        return (1).to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"

    def flip_key(self, store):
        self.rot(store, self.row_key(150), ahead=-15)

    def zero_pages(self, store):
        """Those in which rows of the middle of the log lie."""
        with open(self.data(store), "r+b") as file:
            content = file.read()
            for n in range(150, 200):
                place = content.find(self.row_key(n))
                while place != -1:
                    file.seek(place // PAGE * PAGE)
                    file.write(bytes(PAGE))
                    place = content.find(self.row_key(n), place + 1)

    def test_a_relay_confirms_nothing_of_a_log_that_it_could_not_serve(self):
        for name, hurt in ("key", self.flip_key), ("zeros", self.zero_pages):
            relay = self.relay(name, "--accept-any")
            key, author = self.push_lines(300, relay, f"{name}.key", f"author-{name}")
            relay.end()
            hurt(name)
            relay = self.relay(name, "--accept-any")
            # Whether the relay has met the damage before makes no difference, nor what is new.
            for asked in ["--push"], [], ["--push"], ["--quote"], ["--push"]:
                store = f"author-{name}" if asked == ["--push"] else f"reader-{name}"
                done = self.run_damaged(["sync", relay.address, author, *asked, "--json"], store)
                self.assertEqual(done.returncode, NETWORK, (name, asked, done.stdout, done.stderr))
                self.assertIn(b"store is damaged", done.stderr)
                self.assertIn(b"culm repair", done.stderr)
                if asked == ["--push"]:
                    told = json.loads(done.stdout.splitlines()[0])
                    self.assertFalse(told["pushed"], told)
                    self.assertEqual(told["error"], "peer_store")
                    failure = json.loads(done.stderr.splitlines()[-1])
                    self.assertEqual((failure["error"], failure["about"], failure["message"]),
                                     ("peer_store", author[:12], f"the peer at {relay.address} "
                                      "cannot take this log: its store is damaged"))
                    self.assertIn("`culm verify` there", failure["next"])
                    self.out("append", "--key", key, "--lines", stdin=b"more\n", store=store)
            self.assertIsNone(relay.process.poll())
            self.wait_until_said(relay, "cannot be served, the store is damaged")
            self.assertEqual(relay.said().count("cannot be served, the store is damaged"), 1)
            relay.end()

    def change_header(self, store, n, at, value):
        """Of the pages with the row of that entry."""
        with open(self.data(store), "r+b") as file:
            content = file.read()
            place = content.find(self.row_key(n))
            while place != -1:
                file.seek(place // PAGE * PAGE + at)
                file.write(value.to_bytes(2, "little"))
                place = content.find(self.row_key(n), place + 1)

    def test_what_can_be_read_of_a_page_with_a_wrong_header_is_served(self):
        relay = self.relay("relay", "--accept-any")
        author = self.push_lines(2000, relay)[1]
        relay.end()
        shutil.copytree(self.path("relay"), self.path("longer"))
        self.change_header("relay", 1000, 14, PAGE)  # where its rows begin
        self.change_header("longer", 1000, 12, 16 + 2 * 13)  # two more than there are
        for name in "relay", "longer":
            self.error(STORE, "verify", store=name)
            relay = self.relay(name, "--accept-any")
            self.sync_one(f"reader-{name}", relay.address, author)
            self.assertEqual(self.printed(f"reader-{name}", author), self.lines(2000))
            self.assertNotIn("damaged", relay.said())
            relay.end()

    def test_a_page_that_claims_fewer_rows_is_not_written_to_until_a_repair(self):
        relay = self.relay("relay", "--accept-any")
        author = self.push_lines(2000, relay)[1]
        relay.end()
        self.change_header("relay", 1000, 12, 16 + 2 * 4)  # 4 rows
        verdict = json.loads(self.run_culm("verify", "--json", store="relay",
                                           status=STORE).stdout)
        gone = range(verdict["seqnum"], verdict["seqnum"] + verdict["faults"])
        relay = self.relay("relay", "--accept-any")
        for n in gone:
            self.wait_until_said(relay, f"damaged at {n};")
        done = self.run_damaged(["sync", relay.address, author, "--json"], store="first")
        self.assertEqual(done.returncode, NETWORK, done.stderr)
        told = json.loads(done.stdout.splitlines()[0])
        self.assertTrue(told["missing"].startswith(f"{gone[0]}-"), told)
        pushed = self.run_damaged(["sync", relay.address, "--push", author], store="author")
        self.assertEqual(pushed.returncode, NETWORK, pushed.stderr)
        relay.end()
        self.run_culm("repair", store="relay", status=(OK, NOT_FOUND))
        relay = self.relay("relay", "--accept-any")
        pushed = self.sync_one("author", relay.address, "--push", author)
        self.assertTrue(pushed["pushed"], pushed)
        self.sync_one("reader", relay.address, author)
        self.assertEqual(self.printed("reader", author), self.lines(2000))

    def test_of_a_log_that_is_lost_there_and_new_here_its_name_and_no_head_is_said(self):
        relay = self.relay("relay", "--accept-any")
        sound = self.push_lines(10, relay, "sound.key", "author-sound")[1]
        lost = self.push_lines(100, relay, "lost.key", "author-lost")[1]
        relay.end()
        first_row = (2).to_bytes(8, "big") + (1).to_bytes(8, "big") + b"\x03"
        self.rot("relay", first_row, ahead=-60)
        relay = self.relay("relay", "--accept-any")
        self.wait_until_said(relay, "damaged at 1;")
        deadline = time.monotonic() + 30  # it is dropped a moment later
        while b"it can serve nothing of this log" not in self.run_damaged(
                ["sync", relay.address, lost, "--quote"], store="reader").stdout:
            self.assertLess(time.monotonic(), deadline, relay.said())
        for asked in [], ["--range", "5-10"], ["--range", "5-10", "--quote"]:
            done = self.run_damaged(["sync", relay.address, sound, lost, *asked], store="reader")
            said = done.stderr.decode()
            self.assertEqual(done.returncode, NETWORK, said)
            came = "would come" if "--quote" in asked else "came"
            self.assertIn(f"culm: sync: {lost[:12]}: not all that is wanted {came}: ", said)
            self.assertIn("; then run the same again: as nothing of this log is here, a sync that "
                          "names none does not ask for it", said)
            self.assertNotIn("beyond the head, which is 0", done.stdout.decode())
            self.assertIn("it can serve nothing of this log", done.stdout.decode())

    def test_a_relay_finds_what_is_damaged_of_a_long_log_before_anybody_asks(self):
        relay = self.relay("relay", "--accept-any")
        self.push_lines(4000, relay)
        relay.end()
        self.flip_key("relay")
        relay = self.relay("relay", "--accept-any")
        self.wait_until_said(relay, "cannot be served, the store is damaged")
        relay.end()

    def test_a_log_that_is_lost_whole_is_lost_and_it_says_how_it_comes_back(self):
        relay = self.relay("relay", "--accept-any")
        author = self.new_log([str(n) for n in range(1, 301)])
        self.out("append", "--key", "me.key", self.write("large", os.urandom(700_000)))
        of_second = ["append", "--key", "me.key", "--log-id", "1"]
        self.out(*of_second, self.write("second", os.urandom(200_000)))
        self.out(*of_second, "--lines", stdin=b"".join(b"%d\n" % n for n in range(50)))
        self.out("sync", relay.address, "--push")
        shutil.copytree(self.path("store"), self.path("alone"))
        for store in "store", "alone":
            os.truncate(self.data(store), 500_000)
        step = ("`culm sync HOST:PORT LOG`; of your own (`culm mark`) not in this store: "
                f"{author}.1\n")
        alone = self.error(NOT_FOUND, "repair", store="alone")
        self.assertIn("53 entries of which nothing else is left", alone)
        self.assertIn(step, alone)
        done = self.run_culm("repair", "--from", relay.address, status=NOT_FOUND)
        self.assertIn(": replaced 2 entries: 300-301\n", done.stdout.decode())
        said = done.stderr.decode()
        self.assertIn("nothing is left of 51 entries, so no peer was asked for them", said)
        self.assertIn(step, said)
        self.out("sync", relay.address, author + ".1")
        self.assert_sound("store")
        self.assertEqual([log["head"] for log in self.json_lines("ls")], [301, 51])

    def test_where_several_logs_are_hurt_the_next_step_goes_on_to_the_others(self):
        key = self.keygen()
        for log in "0", "1":
            lines = "".join(f"line {n} of log {log}\n" for n in range(1, 10)).encode()
            self.out("append", "--key", key[0], "--log-id", log, "--lines", stdin=lines)
            self.rot("store", b"line 5 of log " + log.encode())
        others = "; then the same of the other logs, which `culm verify` names\n"
        self.assertTrue(self.error(NOT_FOUND, "repair").endswith(others))
        self.out("delete", key[1] + ".0", "--payloads", "--range", "5")
        self.assertNotIn("the other logs", self.error(NOT_FOUND, "repair"))

    def test_a_dry_run_says_that_the_file_would_be_written_again_for_a_row_of_no_log(self):
        """Keys are in order and no page is damaged: only when the rows are counted it shows."""
        self.new_log(self.lines(ENTRIES))
        self.rot("store", (1).to_bytes(8, "big") + ENTRIES.to_bytes(8, "big") + b"\x03", ahead=-6)
        why = "the file again with what can be read of it: its tables do not fit together"
        before = (self.place / "store/data.mdb").read_bytes()
        dry = self.text("repair", "--dry-run")
        self.assertEqual(dry.count("would write " + why), 1, dry)
        self.assertEqual(self.json_lines("repair", "--dry-run")[0]["type"], "damaged_pages")
        self.assertEqual((self.place / "store/data.mdb").read_bytes(), before)
        done = self.run_culm("repair", status=NOT_FOUND).stdout.decode()
        self.assertIn("wrote " + why, done)
        self.assertIn("nothing is damaged\n", self.text("repair", "--dry-run"))

    def test_a_deletion_over_a_rotten_row_completes_and_the_entry_comes_again(self):
        above = self.relay("above", "--accept-any")
        author = self.push_lines(ENTRIES, above)[1]
        self.sync_one("below", above.address, author)
        self.rot("below", b"line 77 of")
        self.error(STORE, "verify", store="below")
        self.out("delete", author, "--payloads", "--range", "77", store="below")
        self.sync_one("below", above.address, author)
        self.assertEqual(self.printed("below", author),
                         self.lines(76) + self.lines(ENTRIES - 77, start=78))
        self.assert_sound("below")

    def test_a_push_from_a_store_with_a_rotten_row_says_which_and_brings_the_rest(self):
        author = self.new_log(self.lines(ENTRIES), store="author")
        self.rot("author", b"line 77 of")
        relay = self.relay("relay", "--accept-any")
        done = self.run_damaged(["sync", relay.address, "--push", author], store="author")
        self.assertEqual(done.returncode, NOT_FOUND, done.stderr)
        self.assertIn(f"log {author}: damaged at 77", done.stderr.decode())
        self.assertIn("not all that is wanted is here", done.stderr.decode())
        relay.end()
        lines = self.lines(ENTRIES)
        self.assertEqual(self.printed("relay", author), lines[:76] + lines[77:])

    def test_a_fault_that_is_none_of_the_stores_is_not_put_down_to_it(self):
        author = self.new_log(["x" * 10_000] * 100)
        relay = self.relay("store")
        relay.process.send_signal(signal.SIGSEGV)
        self.assertEqual(relay.process.wait(timeout=30), -signal.SIGSEGV)
        self.assertNotIn("damaged", relay.said())

        export = self.start("export", author, "--jsonl")
        export.stdout.readline()  # more than a pipe takes: it waits for its reader
        with open(f"/proc/{export.pid}/task/{export.pid}/children") as children:
            reading = int(children.read())
        os.kill(reading, signal.SIGSEGV)
        self.assertEqual(export.wait(timeout=30), -signal.SIGSEGV)
        self.assertNotIn(b"damaged", export.stderr.read())
        self.assert_sound("store")

    def test_a_relay_with_a_zeroed_page_goes_on_or_says_which_store_and_ends_with_5(self):
        key = self.keygen()
        author = self.new_log(self.lines(100), key=key, store="author")
        relay = self.relay("relay", "--accept-any")
        self.sync_one("author", relay.address, "--push", author)
        relay.end()
        with open(self.data("relay"), "rb") as file:
            good = file.read()
        ended = 0
        for page in range(2, len(good) // PAGE):
            with open(self.data("relay"), "wb") as file:
                file.write(good[:page * PAGE] + bytes(PAGE) + good[(page + 1) * PAGE:])
            relay = Node(self, "relay", ["relay", "--listen", "127.0.0.1:0", "--accept-any"])
            ready = relay.next_line(time.monotonic() + 30)
            if ready and "address" in ready:
                self.append_line(key)
                for arguments in (["--push", author, "--deadline", "3"], []):
                    self.run_damaged(["sync", ready["address"], *arguments], store="author")
            else:
                relay.process.wait(timeout=30)
            if relay.process.poll() is None:
                relay.kill()
                continue
            ended += 1
            self.assertEqual(relay.process.wait(), STORE, (page, relay.said()))
        self.assertGreater(ended, 0)

    def spoil_page(self, store, good, page):
        with open(self.data(store), "wb") as file:
            file.write(good[:page * PAGE] + random.Random(page).randbytes(PAGE) +
                       good[(page + 1) * PAGE:])

    def test_a_relay_with_a_page_of_random_bytes_serves_what_it_can_and_says_which_it_cannot(self):
        relay = self.relay("relay", "--accept-any")
        author = self.push_lines(2000, relay)[1]
        relay.end()
        with open(self.data("relay"), "rb") as file:
            good = file.read()
        denied = blamed = 0
        refused = "cannot be served, the store is damaged"
        for page in range(2, len(good) // PAGE, 9):
            self.spoil_page("relay", good, page)
            if self.run_damaged(["verify"], store="relay").returncode == OK:
                continue
            said_before = relay.said().count(refused)
            relay = self.relay("relay", "--accept-any")
            relay.heard[refused] = said_before
            for _ in range(2):
                done = self.run_damaged(["sync", relay.address, author], store=f"reader{page}")
                said = done.stderr.decode()
                self.assertIn(done.returncode, (NOT_FOUND, NETWORK), (page, said))
                if done.returncode == NETWORK:
                    denied += 1
                    self.assertIn("store is damaged", said)
            self.assertIsNone(relay.process.poll(), page)
            if done.returncode == NETWORK:
                self.wait_until_said(relay, refused)
                self.assertEqual(relay.said().count(refused), said_before + 1, page)
            other = self.relay(f"other{page}", "--accept-any")
            pushed = self.run_damaged(["sync", other.address, "--push", author], store="relay")
            said = pushed.stderr.decode()
            self.assertIn(pushed.returncode, (OK, NOT_FOUND, STORE), (page, said))
            if pushed.returncode == STORE:
                blamed += 1
                self.assertIn("the store is damaged", said)
                self.assertIn("culm repair", said)
            other.end()
            relay.end()
        self.assertGreater(denied, 4)
        self.assertGreater(blamed, 2)

    def test_verbs_that_print_leave_out_what_lies_in_a_damaged_page_and_say_it(self):
        author = self.new_log(self.lines(2000))
        with open(self.data("store"), "rb") as file:
            good = file.read()
        all_lines = self.lines(2000)
        left_out = 0
        for page in range(2, len(good) // PAGE, 9):
            self.spoil_page("store", good, page)
            done = self.run_damaged(["cat", author, "--lines"])
            said = done.stderr.decode()
            self.assertIn(done.returncode, (OK, STORE), (page, said))
            if "damaged and left out: " not in said:
                continue
            left_out += 1
            lost = said.split("damaged and left out: ")[1].split("\n")[0]
            is_lost = set()
            for part in lost.split(","):
                first, _, last = part.partition("-")
                is_lost.update(range(int(first), int(last or first) + 1))
            rest = [line for n, line in enumerate(all_lines, 1) if n not in is_lost]
            self.assertEqual(done.stdout.decode().splitlines(), rest, page)
            self.assertIn("culm repair", said)
            for verb in ["log", author], ["export", author, "--jsonl"]:
                again = self.run_damaged(verb)
                self.assertEqual(again.returncode, STORE)
                self.assertIn(f"left out: {lost}", again.stderr.decode())
        self.assertGreater(left_out, 4)

    def test_a_relay_whose_file_is_cut_says_so_once_and_how_to_go_on(self):
        for pages in (0, 1, 2):
            relay = self.relay(f"relay{pages}", "--accept-any")
            author = self.push_lines(ENTRIES, relay, f"{pages}.key", f"author{pages}")[1]
            os.truncate(self.data(f"relay{pages}"), pages * PAGE)
            self.assert_denied_and_said_once(relay, author)
            # Nothing is left that a repair could begin with.
            self.assertIn("the store is damaged; next: end this process, then restore a backup",
                          relay.said())

    def test_a_relay_whose_first_pages_are_lost_says_so_once_and_how_to_go_on(self):
        for page in (0, 1):
            relay = self.relay(f"relay{page}", "--accept-any", "--log-json")
            author = self.push_lines(ENTRIES, relay, f"{page}.key", f"author{page}")[1]
            with open(self.data(f"relay{page}"), "r+b") as file:
                file.seek(page * PAGE)
                file.write(random.Random(page).randbytes(PAGE))
            self.assert_denied_and_said_once(relay, author)
            line = json.loads(relay.said().splitlines()[-1])
            self.assertEqual((line["type"], line["level"]), ("damaged", "error"))
            self.assertIn(f"culm --store {relay.store} repair --dry-run", line["message"])

    def assert_denied_and_said_once(self, relay, author):
        for arguments in ([author], [author], ["--push", author]):
            done = self.run_damaged(["sync", relay.address, *arguments], store="reader")
            if "--push" in arguments and done.returncode == NOT_FOUND:
                continue  # nothing has come that could be pushed
            self.assertEqual(done.returncode, NETWORK, done.stderr)
            self.assertIn("store is damaged", done.stderr.decode())
            self.assertRegex(done.stderr.decode(), "log of that relay says|its log says")
        self.assertIsNone(relay.process.poll())
        self.wait_until_said(relay, "cannot be served, the store is damaged")
        self.assertEqual(relay.said().count("cannot be served, the store is damaged"), 1)

    def rot_free_list(self, store):
        """The first list of free pages claims to be longer than the file."""
        with open(self.data(store), "r+b") as file:
            newest = self.newest_meta(file.read(2 * PAGE))
            depth, root = newest[46], int.from_bytes(newest[80:88], "little")
            self.assertEqual(depth, 1)
            file.seek(root * PAGE)
            node = int.from_bytes(file.read(PAGE)[16:18], "little")
            file.seek(root * PAGE + node + 16)
            file.write((10 ** 7).to_bytes(8, "little"))

    def test_the_last_words_of_a_relay_are_a_line_of_its_log(self):
        for name, options in (("text", []), ("json", ["--log-json"])):
            relay = self.relay(name, "--accept-any", *options)
            key = self.push_lines(ENTRIES, relay, f"{name}.key", f"author-{name}")
            self.rot_free_list(name)
            self.out("append", "--key", key[0], "--lines", stdin=b"more\n", store=f"author-{name}")
            self.run_damaged(["sync", relay.address, "--push", key[1]], store=f"author-{name}")
            self.wait_for_end(relay)
            last = json.loads(relay.said().splitlines()[-1])
            self.assertRegex(last["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(last["level"], "error")
            self.assertIn(f"culm --store {relay.store} repair --dry-run", last["next"])

    def test_a_follow_that_meets_damage_says_which_store_and_ends_with_5(self):
        author = self.new_log(self.lines(ENTRIES))
        follow = self.start("follow", author, "--from-start", "--payloads", "--lines")
        for _ in range(ENTRIES):
            follow.stdout.readline()
        os.truncate(self.data("store"), 2 * PAGE)
        os.utime(self.data("store"))
        _, said = follow.communicate(timeout=30)
        self.assertEqual(follow.returncode, STORE, said)
        self.assertIn(b"culm: follow: store ", said)
        self.assertIn(b"next: restore a backup", said)

    def test_verbs_refuse_a_file_that_is_cut(self):
        key = self.keygen()
        author = self.new_log(self.lines(ENTRIES), key=key)
        data = self.data("store")
        with open(data, "rb") as file:
            good = file.read()
        verbs = (["verify"], ["cat", author], ["append", "--key", key[0], "--lines"],
                 ["delete", author, "--payloads", "--range", "1-"],
                 ["relay", "--listen", "127.0.0.1:0"])
        for size in (3 * PAGE, len(good) // 2 // PAGE * PAGE, len(good) - PAGE):
            os.truncate(data, size)
            for verb in verbs:
                done = self.run_damaged(verb)
                self.assertEqual(done.returncode, STORE, (size, verb, done.stderr))
                self.assertIn("store ", done.stderr.decode(), (size, verb))
            with open(data, "wb") as file:
                file.write(good)
        self.out("verify")

    def test_no_zeroed_page_ends_a_verb_that_writes_by_a_signal(self):
        key = self.keygen()
        author = self.new_log(self.lines(200), key=key)
        data = self.data("store")
        with open(data, "rb") as file:
            good = file.read()
        found = 0
        for page in range(2, len(good) // PAGE):
            for verb in (["append", "--key", key[0], "--lines"],
                         ["delete", author, "--payloads", "--range", "1-"]):
                with open(data, "wb") as file:
                    file.write(good[:page * PAGE] + bytes(PAGE) + good[(page + 1) * PAGE:])
                done = self.run_damaged(verb)
                self.assertGreaterEqual(done.returncode, 0, (page, verb, done.stderr))
                if done.returncode == STORE:
                    found += 1
                    self.assertIn(b"store ", done.stderr)
        self.assertGreater(found, 0)

    def test_a_dry_run_of_delete_names_damage_in_both_forms(self):
        author = self.new_log(self.lines(ENTRIES))
        self.rot("store", b"line 77 of")
        for form in ([], ["--json"]):
            done = self.run_damaged(["delete", author, "--payloads", "--range", "1-", "--dry-run",
                                     *form])
            self.assertEqual(done.returncode, STORE, (form, done.stdout, done.stderr))
            self.assertIn(b"77", done.stdout + done.stderr)

    def append_line(self, key):
        self.out("append", "--key", key[0], "--lines", stdin=b"more\n", store="author")

    def run_damaged(self, arguments, store="store"):
        environment = {**self.environment, "CULM_STORE": self.path(store)}
        return subprocess.run([CULM, *arguments], cwd=self.place, env=environment, input=b"more\n",
                              capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
