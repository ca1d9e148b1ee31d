"""What peers that do not know them say of own logs, and what is said of them for that."""

from own_branch_scenario import OwnLog
from scenario import FORK, OK, main


class CarriedElsewhere(OwnLog):
    """Store and mark of another machine, where the last entry was appended unasked."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.relay_holds("store-backup")
        self.restore()
        self.append(b"4\n")
        self.out("backup", "copy")
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.relay_is_back()

    def carry(self):
        self.environment["CULM_MARKS"] = self.path("marks-there")
        self.environment["CULM_STORE"] = self.path("copy")
        self.out("mark", "--import", "marks.jsonl")

    def test_is_served_once_a_peer_confirmed_it_as_the_words_say(self):
        self.carry()
        self.assertTrue(self.json("ls")["withheld"])
        self.paste(self.error(OK, "ls"), "sync ", **{"HOST:PORT": self.address})
        self.assertNotIn("withholds", self.text("ls"))
        self.assertNotIn("could be asked", self.text("mark"))
        own = self.relay("copy")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.assertEqual(self.sync_one("reader", own.address, self.author)["head"], 4)

    def test_is_still_asked_for_before_the_next_append(self):
        other = self.relay("other", "--accept-any")
        for address in self.address, other.address:
            self.sync_one("store", address, "--push")
        self.append(b"5\n")
        self.sync_one("store", self.address, "--push")
        self.carry()
        for push in ["--push"], []:
            self.sync_one("copy", other.address, *push)
            self.assertNotIn("withheld", self.json("ls"))
            said = self.error(FORK, "append", "--key", self.key, stdin=b"other 5")
            self.assertIn("a peer holds the log up to seqnum 5", said)


if __name__ == "__main__":
    main()
