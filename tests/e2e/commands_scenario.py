"""Commands that are printed do, pasted as they are, what the words say: to the store, and in the
network, that was named."""

import os
import shutil

from rotten import Rotten
from scenario import NOT_FOUND, main

COUNT = 6


class Pasted(Rotten):
    """The store that no command is meant for is the one in use where none is named."""

    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.new_log(self.lines(COUNT), key=(self.key, self.author))
        self.other = self.path("a store")
        shutil.copytree(self.path("store"), self.other)

    def payloads(self, *store):
        return self.json("ls", *store, self.author)["payloads"]


class OfAStore(Pasted):
    def test_what_is_let_go_is_let_go_there(self):
        with self.somebody_else():
            said = self.text("--store", self.other, "select", self.author, "--none")
        self.paste(said, "delete")
        self.assertEqual((self.payloads(), self.payloads("--store", self.other)), (COUNT, 0))

    def test_the_words_on_standard_output_name_it_too(self):
        for verb in (["delete", self.author, "--payloads", "--range", "2"],
                     ["forget", self.author, "--own"]):
            said = self.text(f"--store={self.other}", *verb)
            self.paste(said, "compact")
        self.out("--store", self.path("empty"), "append", "--key", self.key, "--log-id", "3",
                 stdin=b"x")
        said = self.text("peers", "--store", self.path("empty"))
        self.assertIn(f"`culm --store {self.path('empty')} sync HOST:PORT`", said)

    def test_damage_is_mended_there(self):
        address = self.relay("relay", "--accept-any").address
        self.out("sync", address, "--push", self.author)
        for n in (2, 4):
            self.rot_payload("a store", n)
        said = self.text("repair", "--dry-run", "--store", self.other)
        # It ends with both commands.
        self.paste(said, "--from", **{"HOST:PORT": address})
        self.assertIn("nothing is damaged", self.text("--store", self.other, "repair"))

    def test_what_json_says_to_do_next_names_it(self):
        self.out("--store", self.other, "delete", self.author, "--payloads", "--range", "2")
        with self.somebody_else():
            said = self.json("--store", self.other, "cat", self.author, "--range", "2",
                             status=NOT_FOUND)
        self.assertTrue(said["next"].startswith(f"`culm --store '{self.other}' sync "), said)

    def test_what_a_log_holds_is_left_as_it_is(self):
        payload = b"then `culm ls` and `culm sync HOST:PORT`"
        self.out("--store", self.other, "append", "--key", self.key, "--adopt", stdin=payload)
        of_store = "--store", self.other
        self.assertEqual(self.out(*of_store, "cat", self.author, "--range", "last"), payload)
        for verb in (["log"], ["follow", "--until", COUNT + 1, "--from-start"]):
            said = self.text(*of_store, *verb, self.author)
            self.assertIn("then `culm ls` and", said)
        self.out(*of_store, "export", self.author, "--jsonl", "-o", self.path("all.jsonl"))
        self.out("verify", "--jsonl", self.path("all.jsonl"))


class OfANetwork(Pasted):
    def setUp(self):
        super().setUp()
        self.network_key = self.write("a network key", "1" * 64)
        os.chmod(self.network_key, 0o600)

    def test_a_sync_is_told_to_go_on_in_it(self):
        options = "--network-key", self.network_key
        self.address = self.relay("relay", "--accept-any", *options).address
        self.out("append", "--key", self.key, "--log-id", "5", stdin=b"x")
        self.out("sync", self.address, "--push", *options)
        said = self.text("--store", self.other, "sync", self.address, *options, self.author)
        self.assertIn(".5: is your own, was not asked for, and is not here", said)
        self.paste(said, r"\.5")
        logs = self.json_lines("ls", "--store", self.other)
        self.assertIn(f"{self.author}.5", [log["log"] for log in logs])


if __name__ == "__main__":
    main()
