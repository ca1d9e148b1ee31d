"""What logs are called: names that a user gives, authors with several logs, and seqnums that count
from the end."""

import re

from relay_harness import NetworkScenario
from scenario import NOT_FOUND, STORE, USAGE, main


class Names(NetworkScenario):
    def two_logs(self):
        """The author of logs 0 and 7, with the words of each."""
        key, author = self.keygen()
        for log_id, words in ((0, ["a", "b", "c"]), (7, ["x", "y"])):
            self.new_log(words, "--log-id", log_id, key=(key, author))
        return author

    def test_a_name_stands_for_its_log_wherever_one_is_asked_for(self):
        author = self.new_log("abc")
        self.assertIn(author, self.text("name", author[:8], "alice"))
        self.assertEqual(self.out("cat", "alice"), b"abc")
        self.assertEqual(self.out("cat", "alice.0", "--range", 2), b"b")
        self.assertIn(f"log {author}, alice\n", self.text("log", "alice"))
        self.assertRegex(self.text("mark"), r"^alice  3  ")
        self.assertIn("2", self.text("inspect", "alice", 2))
        self.assertEqual(self.json("ls", "alice")["log"], author)
        # As hex digits it is no shorter start of an author.
        self.text("name", author, "ada")
        self.assertEqual(self.json("ls", "ada")["log"], author)
        self.text("name", "--remove", "ada")
        self.assertRegex(self.text("ls"), r"(?m)^alice ")
        self.assertIn(author, self.text("ls", "--full"))
        self.text("verify", "alice")
        self.text("export", "alice", "--jsonl", "-o", "x.jsonl")
        self.text("delete", "alice", "--payloads", "--range", 1)
        relay = self.relay("relay", "--accept", "alice")
        self.text("sync", relay.address, "alice", "--push")
        self.text("sync", relay.address, "alice", "--range", "2-3", store="other")
        self.assertEqual(self.out("cat", "alice", store="other"), b"bc")

    def test_verbs_say_the_name_that_was_given(self):
        author = self.two_logs()
        for log, name in ((author, "bob"), (author, "alice"), (author + ".7", "seven")):
            self.text("name", log, name)
        for verb in ["verify"], ["select"], ["delete", author, "--payloads", "--range", "1"], [
                "follow", "--from-start", "--until", "2", author], ["ls"]:
            said = self.text(*verb)
            self.assertRegex(said, r"(?m)^alice\b", verb)
            self.assertRegex(said, r"(?m)^seven\b", verb)
            self.assertNotIn(author[:12], said)
        self.assertIn("culm: cat: alice: ", self.error(NOT_FOUND, "cat", author, "--range", "99"))
        self.assertIn("would forget alice: ", self.text("forget", author, "--dry-run"))
        relay = self.relay("relay", "--accept-any")
        self.assertRegex(self.text("sync", relay.address, author, "--push"), r"(?m)^seven: ")
        self.assertEqual([row["log"] for row in self.json_lines("verify")], [author, author + ".7"])
        self.text("name", author + ".0", "zero")
        self.assertRegex(self.text("verify"), r"(?m)^zero\b")
        self.text("name", "--remove", "seven")
        self.assertRegex(self.text("verify"), r"(?m)^alice\.7\b")

    def test_the_name_of_one_log_alone_stands_in_commands_as_it_is(self):
        author = self.two_logs()
        relay = self.relay("relay", "--accept-any")
        self.text("sync", relay.address, "--push")
        self.text("name", author + ".0", "diary")
        for log, name in (author + ".0", "diary"), (author + ".7", author[:12] + ".7"):
            done = self.run_culm("delete", log, "--payloads", "--range", 1)
            said = (done.stdout + done.stderr).decode()
            self.assertIn(f" {name} --range 1 --undelete`", said)
            self.paste(said, "sync", **{"HOST:PORT": relay.address})
            self.assertEqual(self.json("ls", log)["payloads_deleted"], 0)

    def test_a_name_may_be_given_before_the_log_is_here(self):
        author = "5" * 64
        self.text("name", author + ".3", "sensor")
        given = self.json("name")
        self.assertEqual((given["name"], given["author"], given["log_id"]), ("sensor", author, 3))
        self.new_log("z")
        self.error(USAGE, "cat", "sensor.3")
        self.error(NOT_FOUND, "cat", "sensor")

    def test_a_name_is_changed_on_purpose_only(self):
        first, second = "1" * 64, "2" * 64
        self.text("name", first, "alice")
        self.text("name", first, "alice")
        self.assertIn("--remove alice", self.error(USAGE, "name", second, "alice"))
        self.text("name", "--remove", "alice")
        said = self.error(NOT_FOUND, "name", "--remove", "alice")
        self.assertIn("next: `culm name` lists the names\n", said)
        self.assertIn("nothing has this name", self.error(NOT_FOUND, "name", "alice"))
        self.text("name", second, "alice")
        self.assertIn(second, self.text("name"))

    def test_what_cannot_be_a_name_is_refused(self):
        for name in ("a.b", "../x", "-x", "8x", "last", "deadbeef", "a" * 33, "a b", "\x1b[2J", "ä"):
            self.error(USAGE, "name", "1" * 64, "--", name)
        self.new_log("z")
        self.assertIn("culm name", self.error(NOT_FOUND, "cat", "nobody"))
        self.assertEqual(self.text("name"), "no names: `culm name LOG NAME` gives one\n")

    def test_a_damaged_name_is_told(self):
        self.text("name", "1" * 64, "alice")
        (self.place / "data/culm/names/alice").write_text("x")
        self.new_log("z")
        self.assertIn("--remove alice", self.error(STORE, "cat", "alice"))
        self.text("name", "--remove", "alice")

    def test_names_are_kept_where_the_user_says(self):
        self.environment["CULM_NAMES"] = self.path("elsewhere")
        self.text("name", "1" * 64, "alice")
        self.assertEqual([file.name for file in (self.place / "elsewhere").iterdir()], ["alice"])

    def test_an_author_means_all_logs_of_the_author(self):
        author = self.two_logs()
        self.assertEqual(self.out("cat", author), b"abcxy")
        self.assertEqual(self.out("cat", author + ".0"), b"abc")
        self.assertEqual(self.out("cat", author[:8], "--range", "last"), b"cy")
        self.assertEqual(self.out("follow", author, "--from-start", "--payloads", "--until", 3),
                         b"abcxy")
        self.assertEqual([row["log"] for row in self.json_lines("verify", author)],
                         [author, author + ".7"])
        self.assertEqual(self.text("log", author).count("seqnum"), 2)
        self.text("export", author, "--jsonl", "-o", "all.jsonl")
        self.assertEqual(len((self.place / "all.jsonl").read_text().splitlines()), 5)

    def test_a_log_of_ones_own_that_was_forgotten_is_not_brought_up_again(self):
        author = self.two_logs()
        relay = self.relay("relay", "--accept", author)
        self.text("sync", relay.address, author, "--push")
        self.text("forget", author + ".7", "--own")
        self.assertNotIn("your own", self.text("sync", relay.address, author))

    def test_an_author_is_synced_with_all_known_logs_and_log_0(self):
        author = self.two_logs()
        relay = self.relay("relay", "--accept", author)
        self.text("sync", relay.address, author, "--push")
        self.assertEqual({row["log"] for row in self.json_lines("ls", store="relay")},
                         {author, author + ".7"})
        marks = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        said = self.text("sync", relay.address, author, store="other")
        alone = "of this author log 0 alone was asked for; others are to be named, like "
        self.assertIn(f"{alone}{author[:12]}.1\n", said)
        for store, what, status in (("without", ("--payload-max", "0"), NOT_FOUND),
                                    ("little", ("--budget", "200"), USAGE)):
            self.assertIn(alone, self.text("sync", relay.address, author, *what, store=store,
                                           status=status))
        self.assertEqual([row["log"] for row in self.json_lines("ls", store="other")], [author])
        self.assertNotIn("log 0 alone", self.text("sync", relay.address, author, store="other"))
        # Of one's own the marks tell.
        self.environment["CULM_MARKS"] = marks
        said = self.text("sync", relay.address, author, store="other")
        command = re.search(r"(?m)^\w{12}\.7: is your own, [^`]*`culm ([^`]*)`$", said)[1]
        self.text(*command.split(), store="other")
        self.assertNotIn("your own", self.text("sync", relay.address, author, store="other"))
        self.assertEqual(len(self.json_lines("ls", store="other")), 2)
        self.text("sync", relay.address, author + ".7", store="third")
        self.text("sync", relay.address, author, store="third")
        self.assertEqual({row["log"] for row in self.json_lines("ls", store="third")},
                         {author, author + ".7"})

    def test_seqnums_count_from_the_end(self):
        author = self.new_log("abcdefghijklm")
        for seqnum, number in (("last", 13), ("-1", 13), ("-10", 4), ("-13", 1)):
            self.assertEqual(self.json("inspect", author, seqnum)["seqnum"], number)
            self.assertEqual(self.out("cat", author, "--range", seqnum), b"abcdefghijklm"[number - 1:
                                                                                          number])
            self.assertEqual(self.json("pool", "--log", author, seqnum)["seqnum"], number)
        for ranges, payloads in (("-3-", b"klm"), ("-3-last", b"klm"), ("-3--2", b"kl"), ("2--11", b"bc"),
                                 ("1,last", b"am"), ("-99-2", b"ab"), ("12-last", b"lm")):
            self.assertEqual(self.out("cat", author, "--range", ranges), payloads, ranges)
            self.assertEqual(len(self.json_lines("log", author, "--range", ranges)), len(payloads))
        self.assertIn("13 entries", self.error(NOT_FOUND, "inspect", author, "-14"))
        for verb in ["cat"], ["log"], ["export", "--jsonl"]:
            for ranges in "-14", "5--12":
                self.error(NOT_FOUND, *verb, author, "--range", ranges)
        for verb in ["log"], ["cat"], ["export", "--jsonl"], ["delete", "--payloads"]:
            for ranges in "last-1", "1,-3-10":
                self.assertIn("this range ends before it begins, as the last entry is 13",
                              self.error(USAGE, *verb, author, "--range", ranges))
        self.assertIn("0 payloads", self.text("delete", author, "--payloads", "--range", "-14"))
        self.assertIn("1 payload (1 B): 13", self.text("delete", author, "--payloads", "--range",
                                                       "last", "--dry-run"))
        self.assertIn("--newest", self.error(USAGE, "sync", "127.0.0.1:1", author, "--range", "-5-"))


if __name__ == "__main__":
    main()
