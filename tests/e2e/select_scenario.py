"""What a store wants of a log is shown, and made smaller as well as larger."""

import re
import time

from relay_harness import NetworkScenario
from scenario import NOT_FOUND, USAGE, main


class Select(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.source = self.relay("relay", "--accept-any")
        self.key = self.push_lines(100, self.source)
        self.author = self.key[1]

    def grow(self, lines):
        self.new_log(lines, key=self.key, store="author")
        self.sync("author", self.source.address, "--push", self.author)

    def wants(self, *arguments, **options):
        report = self.json("select", *arguments, store="reader", **options)
        return report["interest"], report["interest_newest"], report["payloads_wanted"]

    def held(self, store="reader"):
        return self.json("ls", store=store)["held"]

    def test_verbs_agree_on_what_is_wanted(self):
        self.sync("reader", self.source.address, self.author, "--newest", "50")
        self.out("select", self.author, "--newest", "5", store="reader")
        export = ("export", self.author, "--jsonl", "-o", "all")
        figures = {(line["entries"], line["certificate_entries"])
                   for line in (self.json(*verb, store="reader")
                                for verb in (["ls"], ["verify"], export))}
        self.assertEqual(len(figures), 1, figures)
        (wanted, others), = figures
        self.assertEqual(wanted, 5)
        self.assertGreater(others, 45)

    def test_a_command_names_ranges_however_many_there_are(self):
        odd = ",".join(str(n) for n in range(1, 100, 2))
        self.sync("reader", self.source.address, self.author, "--range", odd)
        with self.somebody_else():
            said = self.text("select", self.author, "--none", store="reader")
        listed = self.json("ls", store="reader")
        self.assertEqual((listed["entries"], listed["certificate_entries"] > 49), (0, True))
        let_go = re.search(r"until `culm (delete [^`]*)`, and the same of the others\n", said)[1]
        self.assertGreater(self.json(*let_go.split(), store="reader")["deleted"], 4)
        said = self.error(NOT_FOUND, "cat", self.author, "--range", "1-100", store="reader")
        fetch = re.search(r"`culm sync HOST:PORT ([^`]*)` (fetches|takes back)", said)[1]
        self.out("sync", self.source.address, *fetch.split(), store="reader")

    def test_of_a_log_that_ended_nobody_waits_for_more(self):
        more = ("sync", self.source.address, self.author, "--range", "90-110")
        said = self.error(NOT_FOUND, *more, store="reader")
        self.assertIn("next: run it again when the log has grown\n", said)
        self.out("append", "--key", self.key[0], "--end", store="author")
        self.sync("author", self.source.address, "--push", self.author)
        said = self.error(NOT_FOUND, *more, store="reader")
        self.assertIn("next: ask for less: the author ended the log with entry 101, and nothing "
                      "follows it\n", said)

    def test_what_a_sync_asked_for_once_is_shown_and_undone(self):
        self.sync("reader", self.source.address, self.author, "--newest", "50")
        self.assertEqual(self.wants(), ("", 50, True))
        self.assertRegex(self.text("select", store="reader"), r"(?m) the newest 50$")
        with self.somebody_else():
            said = self.text("select", self.author, "--newest", "5", store="reader")
        let_go = f"delete {self.author[:12]}.0 --payloads --range 51-95"
        self.assertEqual(said, f"{self.author[:12]}: wants the newest 5; before: the newest 50; "
                               f"held and not wanted: 45 payloads, until `culm {let_go}`\n")
        self.assertEqual(self.wants(self.author), ("", 5, True))
        self.assertEqual(self.json(*let_go.split(), store="reader")["deleted"], 45)
        self.grow(self.lines(100, start=101))
        self.sync("reader", self.source.address)
        printed = self.printed("reader", self.author)
        self.assertEqual(printed[-5:], self.lines(5, start=196))
        self.assertNotIn(self.lines(1, start=190)[0], printed)
        self.assert_sound("reader")

    def test_a_range_counts_from_the_last_entry_that_is_held(self):
        self.sync("reader", self.source.address, self.author, "--range", "1-50")
        counted = f"{self.json('ls', store='reader')['head'] - 9}-", 0, True
        self.assertEqual(self.wants(self.author, "--range", "-10-"), counted)
        self.grow(self.lines(1, start=101))
        self.sync("reader", self.source.address)
        self.assertEqual(self.wants(), counted)
        self.assertEqual(self.wants(self.author, "--range", "-10", "--newest", "3"), ("92", 3, True))
        for ranges in "-102", "-200--150":
            self.assertIn("101 entries so far",
                          self.error(NOT_FOUND, "select", self.author, "--range", ranges, store="reader"))
        self.assertIn("this range ends before it begins, as the last entry is 101",
                      self.error(USAGE, "select", self.author, "--range", "last-1", store="reader"))
        self.assertEqual(self.wants(), ("92", 3, True))

    def test_all_a_range_and_no_payloads(self):
        self.sync("reader", self.source.address, self.author, "--range", "1-10")
        self.assertEqual(self.wants(self.author, "--range", "3-4,50-60", "--newest", "1"),
                         ("3-4,50-60", 1, True))
        self.sync("reader", self.source.address)
        numbers = {line["seqnum"] for line in self.json_lines("log", self.author, store="reader")}
        self.assertLessEqual({*range(1, 11), *range(50, 61), 100}, numbers)
        self.assertNotIn(75, numbers)
        self.assertEqual(self.wants(self.author, "--all", "--entries-only"), ("1-", 0, False))
        self.sync("reader", self.source.address)
        log = self.json("ls", store="reader")
        self.assertEqual((log["held"], log["payloads"]), ("1-100", 22))
        self.assertEqual(self.wants(self.author, "--payloads"), ("1-", 0, True))
        self.sync("reader", self.source.address)
        self.assertEqual(self.json("ls", store="reader")["payloads"], 100)

    def test_what_is_said_during_an_import_beside_a_node_stays(self):
        key = self.keygen("long.key")
        author = self.new_log(self.lines(8000), key=key, store="long")
        path = self.write("long.jsonl", self.out("export", author, "--jsonl", store="long"))
        self.relay("reader")
        self.environment["CULM_STORE"] = self.path("reader")
        importing = self.start("import", "--jsonl", path)
        deadline = time.monotonic() + 30
        while not self.json_lines("ls", store="reader"):
            self.assertLess(time.monotonic(), deadline)
        self.wants(author, "--all")
        self.assertEqual(importing.wait(timeout=60), 0)
        self.assertEqual(self.wants(author), ("1-", 0, True))

    def test_of_a_log_that_nothing_is_wanted_of_nothing_comes_unless_it_is_asked_for(self):
        _, other = self.push_lines(10, self.source, name="other.key", store="other-author")
        self.sync("reader", self.source.address, self.author, "--range", "1-10")
        self.sync("reader", self.source.address, other)
        self.assertEqual(self.wants(self.author, "--none"), ("", 0, False))
        self.assertIn(" nothing\n", self.text("select", self.author, store="reader"))
        logs, _ = self.sync("reader", self.source.address)
        self.assertEqual([log["log"] for log in logs], [other])
        said = self.error(USAGE, "sync", self.source.address, self.author, store="reader")
        self.assertEqual(said, f"culm: sync: nothing is selected of log {self.author[:12]}\n"
                         "  next: say what to fetch, --range 1- for all; or `culm select "
                         "LOG --all` before\n")
        before = self.held_of(self.author)
        # It is still offered.
        pushed, _ = self.sync("reader", self.source.address, "--push")
        self.assertEqual({log["log"]: log["pushed"] for log in pushed},
                         {self.author: True, other: True})
        self.assertEqual(self.held_of(self.author), before)
        self.sync("reader", self.source.address, self.author, "--newest", "2")
        self.assertEqual(self.wants(self.author), ("", 2, True))
        self.assert_sound("reader")

    def test_entries_only_is_remembered_also_of_a_log_whose_payloads_were_wanted(self):
        self.sync("reader", self.source.address, self.author, "--range", "1-10")
        self.sync("reader", self.source.address, self.author, "--range", "20-30", "--entries-only")
        self.assertEqual(self.wants(), ("1-10,20-30", 0, False))
        self.sync("reader", self.source.address)
        self.assertEqual(self.json("ls", store="reader")["payloads"], 10)
        self.sync("reader", self.source.address, self.author, "--range", "20-35")
        self.assertEqual(self.wants(), ("1-10,20-35", 0, False))
        self.assertEqual(self.json("ls", store="reader")["payloads"], 10)
        self.assertEqual(self.wants(self.author, "--payloads"), ("1-10,20-35", 0, True))
        self.sync("reader", self.source.address, self.author, "--range", "20-30")
        self.assertEqual(self.json("ls", store="reader")["payloads"], 26)
        self.sync("reader", self.source.address, self.author, "--entries-only")
        self.assertEqual(self.wants(), ("1-10,20-35", 0, False))

    def test_what_is_selected_beyond_the_head_is_named_and_no_failure(self):
        one = self.sync_one("reader", self.source.address, self.author, "--range", "95-105",
                            status=NOT_FOUND)
        self.assertEqual((one["missing"], one["beyond_head"]), ("101-105", "101-105"))
        for _ in range(2):
            one = self.sync_one("reader", self.source.address)
            self.assertEqual((one["state"], one["missing"], one["beyond_head"]),
                             ("complete", "", "101-105"))
        self.assertIn("101-105 of what is wanted lies beyond the head, which is 100\n",
                      self.text("sync", self.source.address, store="reader"))
        self.grow(self.lines(3, start=101))
        one = self.sync_one("reader", self.source.address)
        self.assertEqual((one["entries"], one["beyond_head"]), (3, "104-105"))

    def test_to_say_whether_payloads_are_wanted_selects_no_entries(self):
        self.sync("reader", self.source.address, self.author, "--range", "1-10")
        self.wants(self.author, "--none")
        for flag in "--entries-only", "--payloads":
            for more in [], ["--dry-run"]:
                said = self.error(USAGE, "select", self.author, flag, *more, store="reader")
                self.assertIn("nothing is selected of the log", said)
                self.assertIn("next: say which entries as well", said)
                self.assertEqual(self.wants(), ("", 0, False))
        self.assertEqual(self.wants(self.author, "--entries-only", "--newest", 3), ("", 3, False))

    def test_of_an_author_the_logs_that_are_not_wanted_are_left_out(self):
        self.out("append", "--key", self.key[0], "--log-id", 3, stdin=b"three", store="author")
        self.sync("author", self.source.address, "--push")
        third = self.author + ".3"
        self.sync("reader", self.source.address, self.author, third)
        self.wants(third, "--none")
        logs, _ = self.sync("reader", self.source.address, self.author)
        self.assertEqual([log["log"] for log in logs], [self.author])
        self.assertIn("nothing is selected of log", self.error(
            USAGE, "sync", self.source.address, self.author + ".0", third, store="reader"))

    def held_of(self, log):
        return next(line["held"] for line in self.json_lines("ls", store="reader")
                    if line["log"] == log)

    def test_the_words_say_what_each_form_means(self):
        self.sync("reader", self.source.address, self.author)
        for options, words in (
                (["--newest", "3"], "the newest 3"), (["--range", "7"], "entry 7"),
                (["--range", "3-4,50-60"], "entries 3-4,50-60"),
                (["--range", "3-4", "--newest", "3"], "entries 3-4, and always the newest 3"),
                (["--range", "30-"], "all from 30 on"),
                (["--range", "5,30-"], "entry 5 and all from 30 on"),
                (["--range", "1-", "--newest", "3"], "everything"), (["--all"], "everything"),
                (["--range", "30-", "--newest", "3", "--entries-only"],
                 "all from 30 on, and always the newest 3, without payloads")):
            before = self.wants()
            self.assertRegex(self.text("select", self.author, *options, "--dry-run", store="reader"),
                             f"^{self.author[:12]}: would want {words}(; (before|held).*)?\n$")
            self.assertEqual(self.wants(), before)
            self.assertRegex(self.text("select", self.author, *options, store="reader"),
                             f"^{self.author[:12]}: wants {words}(; (before|held).*)?\n$")
            self.assertRegex(self.text("select", store="reader"), f"(?m)  {words}$")

    def test_of_an_author_each_log_is_changed(self):
        for log_id in 3, 7:
            self.out("append", "--key", self.key[0], "--log-id", log_id, stdin=b"x", store="author")
        for options, verb in (["--dry-run"], "would want"), ([], "wants"):
            lines = self.text("select", self.author, "--newest", "3", *options,
                              store="author").splitlines()
            self.assertEqual([line.split(";")[0] for line in lines],
                             [f"{self.author[:12]}{log}: {verb} the newest 3"
                              for log in ("", ".3", ".7")])

    def test_beside_a_node(self):
        live = self.live("reader", self.source.address, self.author, "--newest", "20")
        live.wait_for(event="caught_up")
        self.assertEqual(self.wants(), ("", 20, True))
        self.assertEqual(self.wants(self.author, "--newest", "3"), ("", 3, True))
        live.end()
        self.assertEqual(self.wants(), ("", 3, True))
        self.grow(self.lines(100, start=101))
        self.sync("reader", self.source.address)
        self.assertEqual(self.wants(), ("", 3, True))
        numbers = {line["seqnum"] for line in self.json_lines("log", self.author, store="reader")}
        self.assertLessEqual({198, 199, 200}, numbers)
        self.assertNotIn(190, numbers)

    def test_a_sync_says_that_payloads_are_not_wanted_any_more_and_how_they_are(self):
        sync = ("sync", self.source.address, self.author)
        said = [self.text(*sync, *asked, store="reader")
                for asked in (["--newest", 20], ["--range", "1-5", "--entries-only"],
                              ["--range", "6-10", "--entries-only"], ["--range", 50], [])]
        step = f"`culm select {self.author[:12]}.0 --payloads` wants them"
        self.assertEqual([step in text for text in said], [False, True, False, True, False])
        self.assertIn("no payloads of this log are wanted, nor of what was selected before", said[1])
        self.assertIn("payloads are not wanted, as an earlier --entries-only said", said[3])
        warned = self.run_culm(*sync, "--range", 51, "--json", store="reader").stderr.decode()
        self.assertIn(step, warned)
        self.out("select", f"{self.author[:12]}.0", "--payloads", store="reader")
        self.assertNotIn("--payloads", self.text(*sync, "--range", 52, store="reader"))
        self.assertEqual(self.printed("reader", self.author)[:10], self.lines(10))

    def test_of_payloads_without_a_byte_nobody_is_told_to_delete_them(self):
        self.out("append", "--key", self.key[0], stdin=b"", store="author")
        self.sync("author", self.source.address, "--push", self.author)
        self.sync("reader", self.source.address, self.author, "--range", "100-101")
        self.out("delete", self.author, "--payloads", "--range", "1-100", store="reader")
        with self.other_machine():
            said = self.text("select", self.author, "--none", store="reader")
        self.assertNotIn("held and not wanted", said)

    def test_only_where_nobody_else_was_met_a_copy_may_be_the_last(self):
        self.sync("reader", self.source.address, self.author)
        for store, is_told in ("reader", False), ("alone", True):
            if is_told:
                self.out("export", self.author, "--jsonl", "-o", "all", store="reader")
                self.out("import", "--jsonl", "all", store=store)
            with self.other_machine():
                said = self.text("select", self.author, "--newest", 5, store=store)
            self.assertIn("held and not wanted: 95 payloads", said)
            self.assertEqual("may be the last copy" in said, is_told, said)

    def test_what_makes_no_sense_is_refused(self):
        self.sync("reader", self.source.address, self.author)
        for arguments in (["--all", "--none"], ["--none", "--newest", "3"], ["--newest", "0"],
                          ["--all", "--range", "1"], ["--payloads", "--entries-only"],
                          ["--none", "--payloads"]):
            self.error(USAGE, "select", self.author, *arguments, store="reader")
        self.error(USAGE, "select", "--all", store="reader")
        self.error(NOT_FOUND, "select", "12345678", "--all", store="reader")
        self.assertEqual(self.wants(), ("1-", 0, True))


if __name__ == "__main__":
    main()
