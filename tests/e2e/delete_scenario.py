import contextlib
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import time

from relay_harness import NetworkScenario
from scenario import CULM, INTERRUPTED, NOT_FOUND, USAGE, main, reference


class Delete(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(f"payload number {n}" for n in range(1, 301))

    def test_payloads_are_deleted_and_entries_stay(self):
        report = self.json("delete", self.author, "--payloads", "--range", "11-20,200,299-")
        self.assertEqual((report["deleted"], report["payloads"]), (13, 287))
        log = self.json("ls")
        self.assertEqual((log["head"], log["entries"], log["payloads"]), (300, 300, 287))
        self.out("verify")
        states = [line["payload_state"] for line in self.json_lines("log", self.author)]
        self.assertEqual([n for n, state in enumerate(states, 1) if state != "held"],
                         [*range(11, 21), 200, 299, 300])
        self.assertIn("[deleted]", self.text("log", self.author, "--range", "15"))

    def test_what_was_deleted_is_said_as_it_is_typed(self):
        author = self.new_log((f"payload number {n}" for n in range(1, 1301)),
                              key=self.keygen("long"))
        log = self.text("log", author, "--newest", "1")
        self.assertRegex(log, r"(?m)^ *1300 ")
        self.assertIn(" 2 payloads (34 B): 1,300;",
                      self.text("delete", author, "--payloads", "--range", "1,300"))
        self.assertIn(" 1 payload (19 B): 1300;",
                      self.text("delete", author, "--payloads", "--range", "1300"))
        report = self.json("delete", author, "--payloads", "--range", "5-8,300")
        self.assertEqual((report["deleted"], report["seqnums"]), (4, "5-8"))

    def test_a_dry_run_says_what_would_be_deleted(self):
        arguments = ("delete", self.author, "--payloads", "--range", "2,299-")
        self.assertEqual(self.text(*arguments, "--dry-run"),
                         f"{self.author[:12]}: would delete 3 payloads (52 B): 2,299-300; 297 left, "
                         "all entries are kept\n")
        report = self.json(*arguments, "--dry-run")
        self.assertEqual((report["would_delete"], report["would_delete_bytes"], report["seqnums"],
                          report["payloads"]), (3, 52, "2,299-300", 297))
        self.assertEqual(self.json("ls")["payloads"], 300)
        done = self.json(*arguments)
        self.assertEqual((done["deleted"], done["deleted_bytes"]), (3, 52))
        self.assertRegex(self.text("ls"), r"complete to [0-9]+, but 3 payloads deleted$")

    def test_what_is_not_fetched_from_now_on_and_lies_beyond_the_head_is_said_alike(self):
        self.out("delete", self.author, "--payloads", "--range", "5")
        self.write("part.jsonl", self.out("export", self.author, "--range", "1-20", "--jsonl"))
        self.out("import", "--jsonl", "part.jsonl", store="part")
        arguments = ("delete", self.author, "--payloads", "--range", "4-6,30,500-510")
        planned = self.text(*arguments, "--dry-run", store="part")
        self.assertIn("would delete 2 payloads (32 B): 4,6; not held, and would not be fetched from "
                      "now on: 5,30,500-510; of the range beyond the head (40): 500-510; 17 left",
                      planned)
        report = self.json(*arguments, "--dry-run", store="part")
        done = self.json(*arguments, store="part")
        for line in report, done:
            self.assertEqual((line["seqnums"], line["barred"], line["beyond_head"], line["payloads"]),
                             ("4,6", "5,30,500-510", "500-510", 17))
        again = self.text(*arguments, store="part")
        self.assertIn("deleted 0 payloads (0 B); of the range beyond the head (40): 500-510; 17",
                      again)

    def test_of_an_author_it_is_done_to_each_log(self):
        for log_id in 3, 7:
            self.out("append", "--key", "me.key", "--log-id", log_id, stdin=b"payload")
        arguments = ("delete", self.author, "--payloads", "--range", "last")
        for options, verb in (["--dry-run"], "would delete"), ([], "deleted"):
            lines = self.text(*arguments, *options).splitlines()
            self.assertEqual([line.split(" (")[0] for line in lines],
                             [f"{self.author[:12]}{log}: {verb} 1 payload" for log in ("", ".3", ".7")])
        self.assertEqual([log["payloads"] for log in self.json_lines("ls")], [299, 0, 0])
        self.assertEqual([line["deleted"] for line in self.json_lines(
            "delete", self.author, "--payloads", "--range", "1")], [1, 0, 0])

    def test_what_a_longer_log_has_of_the_range_bars_nothing_above_a_shorter_one(self):
        self.out("append", "--key", "me.key", "--lines", "--log-id", 3, stdin=b"a\nb\nc\n")
        barred = lambda ranges: [line["barred"] for line in self.json_lines(
            "delete", self.author, "--payloads", "--range", ranges, "--dry-run")]
        self.assertEqual(barred("2-310"), ["301-310", ""])
        self.assertEqual(barred("290-310"), ["301-310"])
        self.assertEqual(barred("301-310"), ["301-310", "301-310"])

    def test_an_interruption_says_what_was_done(self):
        author = self.new_log((f"{n}" for n in range(60_000)), key=self.keygen("long"))
        for json_option in [], ["--json"]:
            before = self.payloads_of(author)
            process = self.start("delete", author, "--payloads", "--range", "1-", *json_option)
            deadline = time.monotonic() + 60
            while self.payloads_of(author) == before:
                self.assertLess(time.monotonic(), deadline)
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (INTERRUPTED, b""), said)
            message = json.loads(said)["message"] if json_option else said.decode()
            count = int(re.search(r": deleted ([\d,]+) payloads \(", message)[1].replace(",", ""))
            self.assertIn("; the same command deletes the rest", message)
            self.assertEqual(before - self.payloads_of(author), count)
        self.assertEqual(json.loads(said)["seqnums"], f"{60_001 - before}-{60_000 - before + count}")

    def payloads_of(self, author):
        return next(log["payloads"] for log in self.json_lines("ls") if log["log"] == author)

    def test_the_log_goes_on_afterwards(self):
        self.out("delete", self.author, "--payloads", "--range", "1-")
        self.out("append", "--key", "me.key", stdin=b"later")
        self.assertEqual(self.out("cat", self.author), b"later")
        self.out("verify")

    def test_what_is_appended_is_kept_though_it_was_deleted_ahead(self):
        self.out("delete", self.author, "--payloads", "--range", "290-400")
        self.out("append", "--key", "me.key", stdin=b"directly")
        self.relay("store")
        self.out("append", "--key", "me.key", stdin=b"by the node")
        self.out("append", "--key", "me.key", stdin=bytes(300_000))
        self.assertEqual(self.out("cat", self.author, "--range", "301-302"), b"directlyby the node")
        self.assertEqual(self.out("cat", self.author, "--range", "303"), bytes(300_000))

    def test_of_a_log_that_ended_nothing_is_barred_that_cannot_come(self):
        self.out("append", "--key", "me.key", "--end")
        arguments = ("delete", self.author, "--payloads", "--range")
        for option in [], ["--dry-run"]:
            said = self.error(NOT_FOUND, *arguments, "999-1000", *option)
            self.assertIn("the author ended the log with 301, and nothing can come of 999-1000: "
                          "nothing was deleted\n", said)
        self.assertIn(": deleted 1 payload (18 B): 300; of the range beyond the end of the log "
                      "(301): 302-310; 300 left", self.text(*arguments, "300,302-310"))

    def test_a_deleted_payload_is_not_printed(self):
        self.out("delete", self.author, "--payloads", "--range", "5")
        report = self.json("cat", self.author, "--range", "4-6", status=NOT_FOUND)
        self.assertEqual((report["error"], report["missing"]), ("payload_deleted", "5"))
        done = self.run_culm("cat", self.author)
        self.assertIn(b"left out of 300 payloads: 1 deleted here", done.stderr)

    def test_of_ones_own_it_says_that_it_may_be_the_last_copy(self):
        self.out("backup", self.path("copy"))
        arguments = ("delete", self.author, "--payloads", "--range")
        name = f"{self.author[:12]}.0"
        alone = ("culm: delete: {}: {} payloads {} perhaps nowhere else, as the log is your own: "
                 "{}\n  next: {}\n")
        push = f"`culm sync HOST:PORT {name} --push` says whether a peer has them"
        self.assertEqual(
            self.error(0, *arguments, "5-7", "--dry-run"),
            alone.format(self.author[:12], 3, "are", "5-7", push))
        self.assertEqual(self.json(*arguments, "5-7", "--dry-run")["why_alone"], "own")
        done = self.run_culm(*arguments, "5-7", "--json")
        warning = json.loads(done.stderr)
        self.assertEqual((warning["type"], warning["message"]), (
            "warning", "3 payloads were perhaps nowhere else, as the log is your own: 5-7"))
        # This store knows no peer: no sync can help, but what says the way.
        said = self.error(NOT_FOUND, "cat", self.author, "--range", "5")
        self.assertNotIn("culm sync", said)
        self.assertIn("no peer is known that could have it: ", said)
        self.paste(said, "import", BACKUP="copy")
        self.assertEqual(self.out("cat", self.author, "--range", "5"), b"payload number 5")
        self.assertEqual(self.json("ls")["payloads_deleted"], 2)
        self.paste(warning["next"], "import", BACKUP="copy")
        self.assertEqual(self.json("ls")["payloads_deleted"], 0)
        # What is not held is no loss, nor what was deleted before.
        self.out(*arguments, "5-7")
        self.assertEqual(self.run_culm(*arguments, "5-7,400").stderr, b"")
        relay = self.relay("relay", "--accept-any")
        self.sync_one("store", relay.address, self.author, "--push", status=(0, NOT_FOUND))
        said = self.error(NOT_FOUND, "cat", self.author, "--range", "5")
        self.assertIn("`culm sync HOST:PORT ", said)
        with self.somebody_else():
            done = self.run_culm(*arguments, "9", "--json", "--dry-run")
            self.assertEqual((done.stderr, json.loads(done.stdout)["why_alone"]), (b"", None))

    def test_a_deleted_payload_is_not_imported_again(self):
        self.out("export", self.author, "--jsonl", "-o", "all")
        self.out("delete", self.author, "--payloads", "--range", "5-7")
        report = self.json("import", "--jsonl", "all")
        self.assertEqual((report["entries_added"], report["payloads_added"],
                          report["payloads_deleted_before"]), (0, 0, 3))
        self.assertEqual(self.json("ls")["payloads"], 297)

    def takes_back_what_the_file_holds(self):
        """And no more: of entry 2 it holds no payload."""
        large = bytes(7 * 1024 * 1024)
        self.out("append", "--key", "me.key", stdin=large)
        self.out("export", self.author, "--jsonl", "--range", "3-", "-o", "all of it")
        self.out("delete", self.author, "--payloads", "--range", "2,5-7,301,400")
        done = self.run_culm("import", "--jsonl", "all of it")
        self.assertIn(b"\nnot taken, for they were deleted here: 4 payloads\n", done.stdout)
        step = re.search(r"^  next: `culm (.*)` takes again what was deleted here$",
                         done.stderr.decode(), re.M)[1]
        self.assertEqual(self.json("ls")["payloads"], 296)
        self.assertIn("with 4 payloads, in ", said := self.text(*shlex.split(step)))
        self.assertIn("\nof these were deleted here before: 4 payloads\n", said)
        self.assertNotIn("not taken", said)
        log = self.json("ls")
        self.assertEqual((log["payloads"], log["payloads_deleted"]), (300, 1))
        self.assertEqual(self.out("cat", self.author, "--range", "5,301"),
                         b"payload number 5" + large)
        again = self.json("import", "--jsonl", "all of it", "--undelete")
        self.assertEqual([again[key] for key in (
            "payloads_added", "payloads_undeleted", "payloads_deleted_before")], [0, 0, 0])
        self.out("append", "--key", "me.key", "--lines", stdin=b"line\n" * 98)
        self.assertEqual(self.out("cat", self.author, "--range", "400", status=NOT_FOUND), b"")

    def test_import_takes_back_what_was_deleted(self):
        self.takes_back_what_the_file_holds()

    def test_import_takes_it_back_beside_a_node(self):
        self.relay("store")
        self.takes_back_what_the_file_holds()

    def test_import_takes_back_what_was_deleted_where_payloads_are_not_wanted(self):
        self.out("export", self.author, "--jsonl", "-o", "all")
        self.out("delete", self.author, "--payloads", "--range", "5-7")
        self.out("select", self.author, "--entries-only")
        again = "the log is wanted without payloads: those that were deleted here come this once; "
        self.assertNotIn(again, self.text("import", "--jsonl", "all"))
        said = self.text("import", "--jsonl", "all", "--undelete")
        self.assertIn("\nof these were deleted here before: 3 payloads\n", said)
        self.assertIn(f"{again}`culm select {self.author[:12]}.0 --payloads` wants its payloads", said)
        self.assertEqual(self.json("ls")["payloads"], 300)
        self.out(*re.search("`culm (select .*?)`", said)[1].split())
        self.assertTrue(self.json("select", self.author)["payloads_wanted"])
        self.assertNotIn(again, self.text("import", "--jsonl", "all", "--undelete"))

    def test_the_same_again_deletes_nothing(self):
        self.out("delete", self.author, "--payloads", "--range", "5-7")
        self.assertEqual(self.json("delete", self.author, "--payloads", "--range", "5-7")["deleted"],
                         0)

    def test_nothing_is_deleted_without_the_flag(self):
        self.assertIn("--payloads", self.error(USAGE, "delete", self.author, "--range", "1-5"))
        self.error(USAGE, "delete", self.author, "--payloads")
        self.error(NOT_FOUND, "delete", "12345678", "--payloads", "--range", "1")
        self.assertEqual(self.json("ls")["payloads"], 300)


class OfManyLogs(NetworkScenario):
    """What is let go of an author with many logs shares commits."""

    def commits(self):
        """That the store's file has seen: the later of its two meta pages has the number."""
        with open(self.path("store/data.mdb"), "rb") as file:
            return max(struct.unpack("<Q", os.pread(file.fileno(), 8, page * 4096 + 144))[0]
                       for page in (0, 1))

    def lets_go_in_few_commits(self):
        logs = 40
        lines = []
        for log_id in range(logs):
            entry = reference.write_entry(bytes(32), log_id, 1, b"payload", {}, 0)
            lines.append({"encoded": entry.encoded.hex(), "payload": b"payload".hex()})
        self.out("import", "--jsonl", self.write("all", "\n".join(map(json.dumps, lines))))
        author = self.json_lines("ls")[0]["log"][:64]
        for verb, *arguments in (["select", "--range", "1-5"],
                                 ["delete", "--payloads", "--range", "1"], ["forget", "--own"]):
            before = self.commits()
            done = self.json_lines(verb, author, *arguments)
            self.assertEqual(len({line["log"] for line in done}), logs)
            self.assertIn(self.commits() - before, range(1, 4), verb)
            if verb == "select":
                self.assertEqual({log["interest"] for log in self.json_lines("ls")}, {"1-5"})
            elif verb == "delete":
                self.assertEqual({log["payloads"] for log in self.json_lines("ls")}, {0})
        self.assertEqual(self.json_lines("ls"), [])

    def test_by_itself(self):
        self.lets_go_in_few_commits()

    def test_beside_a_node(self):
        self.relay("store")
        self.lets_go_in_few_commits()

    def test_an_interruption_says_how_many_logs_were_done(self):
        key = self.keygen()
        author = self.new_log(map(str, range(6000)), key=key)
        for log_id in 1, 2:
            self.new_log(map(str, range(6000)), "--log-id", log_id, key=key)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:  # nothing is printed before somebody reads
                filled += os.write(writing, b"x" * 512)
        os.set_blocking(writing, True)
        with self.somebody_else():  # to whom nothing is said of last copies
            process = subprocess.Popen([CULM, "delete", author, "--payloads", "--range", "1-"],
                                       cwd=self.place, env=self.environment, stdout=writing,
                                       stderr=subprocess.PIPE)
        self.addCleanup(self._end, process)
        os.close(writing)
        deadline = time.monotonic() + 60
        while self.json_lines("ls")[0]["payloads"] != 0:
            self.assertLess(time.monotonic(), deadline)
        process.send_signal(signal.SIGINT)
        with open(reading, "rb") as file:
            printed = file.read()[filled:]
        said = process.communicate(timeout=60)[1]
        self.assertEqual((process.returncode, said.decode()), (
            INTERRUPTED,
            "culm: delete: interrupted: 2 of 3 logs were done; the same command does the rest\n"))
        self.assertEqual(printed.count(b": deleted 6,000 payloads ("), 2)
        self.assertEqual([log["payloads"] for log in self.json_lines("ls")], [0, 0, 6000])
        self.assertEqual([line["deleted"] for line in self.json_lines(
            "delete", author, "--payloads", "--range", "1-")], [0, 0, 6000])


if __name__ == "__main__":
    main()
