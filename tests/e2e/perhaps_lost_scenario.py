"""A log whose state was lost with pages, and made again: what may be lost is said as such by all."""

import json
import re

from rotten import Rotten, members
from scenario import NOT_FOUND, main

LENGTH = 300


class PerhapsLost(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(LENGTH), key=self.key)
        self.out("compact")  # no old pages

    def lack(self, store="store"):
        """Entries below the highest here that are not, by `ls`."""
        held = members(self.json("ls", store=store)["held"])
        return set(range(1, max(held))) - held

    def said(self, store="store"):
        """What is lost and perhaps lost, as each verb counts it."""
        lines, counts = [], set()
        for verb in "verify", "repair":
            done = self.run_culm(verb, "--json", store=store, status=NOT_FOUND)
            lines += self.parse_lines(done.stdout)
            message = json.loads(done.stderr)["message"]
            counts.add(tuple(int(found[1]) if found else 0 for found in (
                re.search(r"lost here: (\d+) entr", message),
                re.search(r"perhaps lost: (\d+) entr", message))))
        lines.append(self.json("ls", store=store))
        words = {(line.get("lost", line.get("missing")), line["perhaps_lost"])
                 for line in lines if "perhaps_lost" in line}
        self.assertEqual((len(words), len(counts)), (1, 1), lines)
        lost, perhaps = map(members, words.pop())
        self.assertEqual(counts.pop(), (len(lost), len(perhaps)))
        return lost, perhaps

    def test_of_an_own_log_what_was_appended_here_is_surely_lost(self):
        self.lose_pages("store", [self.state_row(), self.entry_row(110)])
        _, *dry = self.run_culm("repair", "--dry-run").stdout.decode().splitlines()
        self.assertNotIn("perhaps", "\n".join(dry))
        said = self.run_culm("repair", status=NOT_FOUND).stdout.decode()
        self.assertNotIn("never here", said)
        gone = self.lack()
        self.assertIn(110, gone)
        self.assertEqual(self.said(), (gone, set()))
        self.assertIn("  LOST  ", self.run_culm("verify", status=NOT_FOUND).stdout.decode())
        self.assertIn("not all", self.error(NOT_FOUND, "repair"))

    def test_of_another_log_it_is_perhaps_lost_until_it_is_wanted_no_more(self):
        self.lose_pages("store", [self.state_row(), self.entry_row(2), self.entry_row(110)])
        with self.somebody_else():
            dry = self.json_lines("repair", "--dry-run")
            self.error(NOT_FOUND, "repair")
            gone = self.lack()
            lost, perhaps = self.said()
            self.assertEqual(lost | perhaps, gone)
            self.assertGreater(len(perhaps), 0)
            foreseen = {line["type"]: line for line in dry}["would_lack"]
            self.assertEqual((foreseen["lost_count"], foreseen["perhaps_lost_count"]),
                             (len(lost), len(perhaps)))
            done = self.run_culm("verify", "--json", status=NOT_FOUND)
            self.paste_ways(json.loads(done.stderr)["next"])
            line = self.json("verify")
            self.assertEqual((line["lost"], line["perhaps_lost"]), ("", ""))
            self.assertEqual(members(line["lost_unwanted"]), gone)
            self.assertIn("; perhaps taken by damage and not wanted: ", self.text("ls"))

    def test_what_a_reader_never_had_is_not_said_to_be_lost(self):
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author, "--range", "1-40,201")
        self.out("compact", store="part")
        held = self.json("ls", store="part")
        never = self.lack("part")
        self.lose_pages("part", [self.state_row()])
        self.error(NOT_FOUND, "repair", store="part")
        self.assertEqual(self.said("part"), (set(), never))
        verdict = self.run_culm("verify", store="part", status=NOT_FOUND).stdout.decode()
        self.assertIn("  LACK  ", verdict)
        self.assertNotIn("; lost", verdict)
        listed = self.text("ls", store="part")
        self.assertIn(f"{held['certificate_entries']} payloads deleted, or never here; perhaps "
                      "lost: ", listed)
        # It came, though it was not here before.
        self.lose_pages("part", [self.state_row()])
        brought = self.text("repair", "--from", peer.address, store="part")
        self.assertNotIn("replaced", brought)
        self.assertIn(f": brought {len(never)} entries: ", brought)
        self.assertEqual(self.json("ls", store="part")["held"], f"1-{LENGTH}")
        self.assert_sound("part")

    def test_what_a_peer_does_not_bring_and_was_never_here_was_not_lost(self):
        first = self.relay("first", "--accept-any")
        self.sync_one("store", first.address, "--push", self.author)
        for store in "part", "peer":
            self.sync_one(store, first.address, self.author, "--range", "1-40,201")
        peer = self.relay("peer")
        with self.somebody_else():
            self.out("select", self.author, "--all", store="part")
            done = self.run_culm("repair", "--from", peer.address, "--json", store="part",
                                 status=NOT_FOUND)
            failure = json.loads(done.stderr)
            self.assertEqual(failure["error"], "entry_not_held")
            self.assertIn("not all that is wanted came", failure["message"])
            self.assertEqual(self.text("repair", store="part"), "nothing is damaged\n")

    def test_what_comes_besides_does_not_stand_for_a_log_of_which_nothing_is_left(self):
        second = self.keygen("second.key")
        self.new_log(self.lines(10), key=second)
        whole = self.relay("whole", "--accept-any")
        self.sync_one("store", whole.address, "--push", self.author)
        self.sync_one("store", whole.address, "--push", second[1])
        self.sync_one("part", whole.address, second[1])
        self.sync_one("part", whole.address, self.author, "--range", "1-40,201")
        first = self.relay("first", "--accept-any")
        self.sync_one("store", first.address, "--push", self.author)
        self.out("compact", store="part")
        state = bytes.fromhex(second[1]) + bytes(8) + b"\x03"
        self.lose_pages("part", [self.state_row(), state,
                                 *(self.entry_row(n) for n in range(1, 11))])
        with self.somebody_else():
            done = self.run_culm("repair", "--from", first.address, store="part",
                                 status=NOT_FOUND)
        self.assertIn(": brought ", done.stdout.decode())
        said = done.stderr.decode()
        self.assertRegex(said, "perhaps not all that was lost was replaced: peers were asked for "
                         "the logs that are here, and nothing tells of which log [0-9]+ entries "
                         "were")
        self.assertIn("comes back with `culm sync HOST:PORT LOG`", said)
        self.assertEqual([log["log"] for log in self.json_lines("ls", store="part")
                          if log["type"] == "log"], [self.author])

    def test_a_relay_that_perhaps_lost_some_lacks_it_and_is_not_said_to_be_damaged(self):
        peer = self.relay("peer", "--accept-any")
        self.sync_one("store", peer.address, "--push", self.author)
        self.sync_one("part", peer.address, self.author, "--range", "1-40,201")
        self.out("compact", store="part")
        self.lose_pages("part", [self.state_row()])
        self.error(NOT_FOUND, "repair", store="part")
        relay = self.relay("part", "--accept-any")
        with self.somebody_else():
            quote = self.run_culm("sync", relay.address, self.author, "--quote", store="reader")
            self.assertNotIn(b"damaged", quote.stdout)
            done = self.run_culm("sync", relay.address, self.author, store="reader",
                                 status=NOT_FOUND)
            self.assertIn(b": the peer does not hold ", done.stdout)
            self.assertNotIn(b"damaged", done.stdout + done.stderr)
            self.sync_one("reader", relay.address, "--also", peer.address, self.author)


if __name__ == "__main__":
    main()
