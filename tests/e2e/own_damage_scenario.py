"""A store that damage took something of: what its owner's push says of that."""

import json
import random
import shutil
import time

from rotten import ENTRIES, PAGE, Rotten
from scenario import NETWORK, NOT_FOUND, STORE, main

ENDS_WITHIN_SECONDS = 25  # a push that waits for what cannot come waits for 30


class OwnDamage(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(ENTRIES), key=self.key)
        self.relays = 0
        self.add_relay()

    def add_relay(self):
        self.relays += 1
        self.empty = self.relay(f"relay{self.relays}", "--accept-any")

    def push(self, status=0):
        """What it says of the log, as JSON, and the failure, if it fails."""
        begun = time.monotonic()
        done = self.run_culm("sync", "--push", self.empty.address, self.author, "--json",
                             status=status)
        self.assertLess(time.monotonic() - begun, ENDS_WITHIN_SECONDS)
        return (json.loads(done.stdout.splitlines()[0]),
                json.loads(done.stderr.splitlines()[-1]) if status else None)

    def test_what_a_push_meets_is_said_once(self):
        data = self.place / "store/data.mdb"
        whole = data.read_bytes()
        at = whole.find(b"line 400 of") // PAGE * PAGE
        data.write_bytes(whole[:at] + bytes(16) + whole[at + 16:])
        said = self.error(STORE, "sync", "--push", self.empty.address)
        self.assertEqual(said.count("is damaged\n"), 1, said)
        self.assertEqual(said.count("\n"), 2, said)
        data.write_bytes(whole)
        self.rot_entry("store", ENTRIES)
        said = self.error(STORE, "sync", "--push", self.empty.address)
        self.assertIn(f"culm: sync: store {self.path('store')}: the store is damaged", said)

    def test_a_sync_takes_again_what_is_damaged_in_its_own_store(self):
        self.push()
        asked = ("sync", self.empty.address, self.author)
        self.sync_one("reader", *asked[1:])
        self.rot_payload("reader", 301)
        self.run_culm("verify", store="reader", status=STORE)
        done = self.run_culm(*asked, "--range", 301, "--json", store="reader")
        self.assertGreater(json.loads(done.stdout.splitlines()[0])["payload_bytes"], 0)
        self.assertIn('"damaged":"301"', done.stderr.decode())
        self.assert_sound("reader")
        # Without a name, of so few entries each is looked at.
        self.rot_entry("reader", 77)
        self.assertEqual(self.sync_one("reader", *asked[1:])["entries"], 1)
        self.assert_sound("reader")

    def test_a_push_ends_once_a_part_of_a_large_payload_cannot_be_read(self):
        large = random.Random(1).randbytes(3_000_000)
        self.out("append", "--key", self.key[0], self.write("large", large))
        self.rot("store", large[1_500_000:1_500_064], ahead=-32)
        said, failure = self.push(status=NOT_FOUND)
        self.assertEqual((said["payloads_missing"], said["pushed"], said["unconfirmed"]),
                         (f"{ENTRIES + 1}", True, []))
        self.assertIn("not all that is wanted is here", failure["message"])
        self.assert_lost(payloads=f"{ENTRIES + 1}")
        self.empty.end()
        self.assertEqual(self.printed("relay1", self.author), self.lines(ENTRIES))

    def test_where_less_is_wanted_a_push_is_whole_without_what_leads_to_nothing(self):
        shutil.copytree(self.path("store"), self.path("whole"))
        for lost, cut_off in ([790, 791], "792"), ([4], "5-800"), ([1], "2-800"):
            with self.subTest(lost=lost):
                shutil.rmtree(self.path("store"))
                shutil.copytree(self.path("whole"), self.path("store"))
                self.add_relay()
                for n in lost:
                    self.rot_entry("store", n)
                self.error(NOT_FOUND, "repair")
                said, failure = self.push(status=NOT_FOUND)
                self.assertEqual((said["cut_off"], said["unconfirmed"][0]["entries"]),
                                 (cut_off, cut_off))
                self.assertIn("lead to was lost", failure["message"])
                self.assertIn("want less (`culm select`; `culm verify` says", failure["next"])
                verified = self.run_culm("verify", "--json", status=NOT_FOUND)
                self.paste_ways(json.loads(verified.stderr)["next"])
                said, _ = self.push()
                self.assertEqual((said["state"], said["pushed"], said["unconfirmed"],
                                  said["cut_off"]), ("complete", False, [], cut_off))
                told = self.text("sync", "--push", self.empty.address, self.author)
                self.assertIn(f"not pushed, as what proves them was lost: {cut_off}", told)
                self.assertEqual("confirms that it holds the rest" in told, lost != [1], told)
                self.assertNotIn("holds all", told)
                # It stays readable, and is owed as soon as somebody wants it again.
                self.assertIn(f"line {ENTRIES - 1} of", self.text("cat", self.author, "--range",
                                                                  f"{ENTRIES - 1}"))
                self.out("select", self.author, "--all")
                self.push(status=NOT_FOUND)

    def test_a_sync_of_what_it_cannot_read_names_the_store(self):
        content = bytearray((self.place / "store/data.mdb").read_bytes())
        branches = [at for at in range(2 * PAGE, len(content), PAGE)
                    if content[at:at + 8] == (at // PAGE).to_bytes(8, "little")
                    and content[at + 10] == 1]
        self.assertTrue(branches)
        for at in branches:
            content[at:at + PAGE] = random.Random(1).randbytes(PAGE)
        (self.place / "store/data.mdb").write_bytes(content)
        said = self.error(STORE, "sync", self.empty.address, self.author, "--push")
        self.assertIn(f": store {self.path('store')}: ", said)
        self.assertNotIn("author marks", said)

    def test_a_refused_push_says_to_each_peer_what_it_is_refused_for(self):
        self.push()
        self.empty.end()
        self.lose_pages("relay1", [self.entry_row(400)])
        damaged = self.relay("relay1", "--accept-any")
        self.out("append", "--key", self.key[0], stdin=b"more")
        unwilling = self.relay("unwilling")
        for first, last in (unwilling, damaged), (damaged, unwilling):
            said = self.error(NETWORK, "sync", first.address, "--also", last.address, "--push")
            self.assertIn(f"next: start the relay at {unwilling.address} with --accept "
                          f"{self.author}.0 besides; ", said)
            self.assertIn("; where the store is damaged, who runs the peer must mend "
                          "its store: ", said)

    def test_a_sync_that_names_none_asks_also_where_damage_took_all_of_a_log(self):
        author = self.new_log(self.lines(3), key=self.keygen("few.key"), store="few")
        relay = self.relay("few-relay", "--accept-any")
        for store, *push in ["few", "--push"], ["reader"]:
            self.sync_one(store, relay.address, *push, author)
        relay.end()
        for store in "few-relay", "reader":
            for n in range(1, 4):
                self.rot_row(store, n)
        relay = self.relay("few-relay", "--accept-any")
        with self.somebody_else():
            self.run_culm("repair", store="reader", status=NOT_FOUND)
            said = self.error(NETWORK, "sync", relay.address, store="reader")
            self.assertIn("the peer's store is damaged", said)
            self.assertNotIn("a sync that names none", said)


if __name__ == "__main__":
    main()
