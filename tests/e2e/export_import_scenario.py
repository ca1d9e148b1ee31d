"""Files of entries: D2, D5 to D9 for JSON lines."""

import json
import os
import pty
import resource
import shutil
import subprocess

from scenario import (CULM, FORK, NOT_FOUND, STORE, USAGE, VERIFICATION, Scenario, main,
                      reference)

SEED = bytes(range(32))


def make_log(count, payload=b"payload %d", tag_at=None, start=None):
    """{seqnum: entry} by the reference, from `start` (entries it goes on from)."""
    entries = dict(start or {})
    hashes = {n: reference.entry_hash(entry) for n, entry in entries.items()}
    for n in range(len(entries) + 1, count + 1):
        tag = 1 if n == tag_at else 0
        entries[n] = reference.write_entry(SEED, 0, n, payload % n, hashes, tag)
        hashes[n] = reference.entry_hash(entries[n])
    return entries


def to_jsonl(entries, payload=None):
    return "".join(json.dumps({"encoded": entry.encoded.hex(),
                               **({"payload": (payload % n).hex()} if payload else {})}) + "\n"
                   for n, entry in entries.items())


class Export(Scenario):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(f"payload number {n}" for n in range(1, 301))

    def test_a_log_makes_the_round_trip(self):
        self.write("all", self.out("export", self.author, "--jsonl"))
        report = self.json("import", "--jsonl", "all", store="other")
        self.assertEqual((report["entries_added"], report["payloads_added"]), (300, 300))
        self.assertEqual(self.out("cat", self.author, store="other"), self.out("cat", self.author))
        self.assertEqual(self.json("ls", store="other")["verified"], 1)  # as after a sync
        self.out("verify", store="other")
        report = self.json("import", "--jsonl", "all", store="other")
        self.assertEqual((report["entries_added"], report["entries_known"]), (0, 300))

    def test_a_part_goes_with_what_proves_it_and_without_other_payloads(self):
        report = self.json("export", self.author, "--jsonl", "--range", "150-160", "-o", "part")
        closure = reference.count(reference.closure([[150, 160]], 300))
        self.assertEqual((report["entries"], report["payloads"]), (11, 11))
        self.assertEqual(report["certificate_entries"], closure - 11)
        self.json("verify", "--jsonl", "part")
        self.out("import", "--jsonl", "part", store="other")
        log = self.json("ls", store="other")
        self.assertEqual((log["entries"], log["certificate_entries"], log["payloads"]),
                         (11, closure - 11, 11))

    def import_without_payloads(self, seqnums, *arguments):
        """Imports an export that lacks these payloads into store `other`."""
        lines = [json.loads(line)
                 for line in self.out("export", self.author, "--jsonl", *arguments).splitlines()]
        for line in lines:
            entry = json.loads(self.out("inspect", "--hex", line["encoded"], "--json"))
            if entry["seqnum"] in seqnums:
                line.pop("payload", None)
        self.write("file", "\n".join(map(json.dumps, lines)))
        self.out("import", "--jsonl", "file", store="other")

    def test_of_a_whole_log_that_lacks_payloads_these_are_wanted_and_what_comes_too(self):
        self.import_without_payloads({5, 9})
        self.assertRegex(self.text("ls", store="other"),
                         r"complete to \d+, but 2 payloads not held$")
        self.assertIn("everything", self.text("select", store="other"))

    def test_ls_says_what_is_not_held_and_not_wanted(self):
        self.import_without_payloads({152}, "--range", "150-160")
        self.assertEqual(self.json("ls", store="other")["interest"], "150-151,153-160")
        self.out("import", "--jsonl", self.write("all", self.out("export", self.author, "--jsonl")),
                 store="third")
        self.out("select", self.author, "--range", "1-5", store="third")
        self.out("delete", self.author, "--payloads", "--range", "1", store="third")
        self.assertRegex(self.text("ls", store="third"),
                         r"complete to \d+, but 1 payload deleted$")
        self.out("select", self.author, "--range", "1-5", "--entries-only", store="other")
        self.assertRegex(self.text("ls", store="other"), "partial, but 2 payloads not held and not wanted$")

    def test_parts_of_a_log_come_together(self):
        for name, ranges in (("a", "1-100"), ("b", "90-200"), ("c", "201-")):
            self.out("export", self.author, "--jsonl", "--range", ranges, "-o", name)
            self.out("import", "--jsonl", name, store="other")
        self.assertTrue(self.json("ls", store="other")["complete"])
        self.assertEqual(self.out("cat", self.author, store="other"), self.out("cat", self.author))

    def test_a_large_payload_makes_the_round_trip(self):
        payload = os.urandom(1_000_003)
        self.out("append", "--key", "me.key", "--log-id", 5, stdin=payload)
        self.out("export", self.author + ".5", "--jsonl", "-o", "big")
        self.out("import", "--jsonl", "big", store="other")
        self.assertEqual(self.out("cat", self.author + ".5", store="other"), payload)

    def test_an_existing_file_or_directory_is_not_overwritten(self):
        self.write("there", "mine")
        self.error(USAGE, "export", self.author, "--jsonl", "-o", "there")
        self.error(USAGE, "export", self.author, "--jsonl", "-o", self.place)
        self.error(USAGE, "export", self.author, "--jsonl", "-o", "")
        self.assertEqual((self.place / "there").read_text(), "mine")

    def test_a_full_disk_leaves_no_file(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        self.error(STORE, "export", self.author, "--jsonl", "-o", "part", preexec_fn=limit)
        self.assertFalse((self.place / "part").exists())
        with open("/dev/full", "wb") as full:
            self.error(STORE, "export", self.author, "--jsonl", stdout=full)

    def test_a_terminal_is_no_place_for_it(self):
        controller, terminal = pty.openpty()
        self.error(USAGE, "export", self.author, "--jsonl", stdout=terminal)
        os.close(controller), os.close(terminal)

    def test_what_is_not_held_is_not_found(self):
        said = self.error(NOT_FOUND, "export", self.author, "--jsonl", "--range", "301-")
        self.assertIn("the entries are not held: 301-\n  next: the highest entry known here is 300\n",
                      said)
        self.error(NOT_FOUND, "export", "12345678", "--jsonl")
        self.out("export", self.author, "--jsonl", "--range", "298-", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        log = self.json("ls", store="other")
        held = log["entries"] + log["certificate_entries"]
        for ranges, missing in (("5,299", "5"), ("299-301", "301"), ("2,299-", "2")):
            failure = self.json("export", self.author, "--jsonl", "--range", ranges, "-o", "more",
                                store="other", status=NOT_FOUND)
            self.assertEqual((failure["error"], failure["missing"]), ("entry_not_held", missing))
        self.error(NOT_FOUND, "export", self.author, "--jsonl", "--range", "1-last", store="other")
        self.assertFalse((self.place / "more").exists())
        for arguments in [], ["--range", "1-"]:
            lines = self.out("export", self.author, "--jsonl", *arguments, store="other")
            self.assertEqual(len(lines.splitlines()), held)
        self.error(USAGE, "export", self.author)


class Import(Scenario):
    def setUp(self):
        super().setUp()
        self.log = make_log(40)
        self.text_of_log = to_jsonl(self.log, b"payload %d")

    def import_text(self, text, status=0):
        return self.run_culm("import", "--jsonl", self.write("file", text), "--json", status=status)

    def test_what_comes_through_a_pipe_is_taken_as_from_a_file(self):
        author = self.new_log([f"line {n}" for n in range(1500)])
        payload = os.urandom(3_000_000)
        self.out("append", "--key", "me.key", stdin=payload)
        directory = self.path("pipe")
        for _ in range(2):  # with a store there and without
            shell = f"'{CULM}' export {author} --jsonl | '{CULM}' --store '{directory}' " \
                    "import --jsonl - --json"
            done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], cwd=self.place,
                                  env=self.environment, capture_output=True, timeout=100)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(json.loads(done.stdout)["entries_known"], 1501)
        self.assertEqual(self.out("cat", author, store="pipe"), self.out("cat", author))
        self.assertEqual(sorted(os.listdir(directory)), ["data.mdb", "lock.mdb", "reserve", "writer.lock"])

    def test_a_file_that_others_read_from_before_is_taken_from_there_on(self):
        before = "not for import\n"
        with open(self.write("file", before + self.text_of_log), "rb", buffering=0) as file:
            file.seek(len(before))
            done = subprocess.run([CULM, "import", "--jsonl", "-"], cwd=self.place, stdin=file,
                                  env=self.environment, capture_output=True, timeout=100)
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (0, 1), done.stderr)
        self.assertIn(b"made store", done.stderr)
        self.assertEqual(self.json("ls")["payloads"], 40)

    def test_an_export_may_go_into_a_pipe_that_has_a_name(self):
        author = self.new_log(f"line {n}" for n in range(300))
        os.mkfifo(self.path("fifo"))
        process = self.start("--store", "other", "import", "--jsonl", "fifo")
        self.assertEqual(self.out("export", author, "--jsonl", "-o", "fifo"), b"")
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.out("cat", author, store="other"), self.out("cat", author))
        self.assertEqual(self.out("export", author, "--jsonl", "-o", "/dev/stdout"),
                         self.out("export", author, "--jsonl"))

    def test_a_bad_line_in_a_pipe_is_told_before_the_rest_has_come(self):
        process = self.start("import", "--jsonl", "-", stdin=subprocess.PIPE)
        process.stdin.write(self.text_of_log.encode() + b"not json\n")
        process.stdin.flush()
        self.assertEqual(process.wait(60), VERIFICATION)
        said = process.communicate()[1]
        self.assertIn(b"standard input:41: file_format", said)
        self.assertIn(b"next: make the file where the log is: `culm export LOG --jsonl -o "
                      b"FILE` there", said)

    def test_a_pipe_that_the_disk_has_no_room_for_changes_nothing(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
        message = self.error(STORE, "import", "--jsonl", "-", stdin=self.text_of_log.encode(),
                             preexec_fn=limit)
        self.assertIn("copy of standard input in ", message)
        self.assertFalse((self.place / "store").exists())

    def test_entries_of_the_reference_are_taken(self):
        self.import_text(self.text_of_log)
        self.out("verify")
        self.assertEqual(self.json("ls")["entries"], 40)

    def test_order_and_other_keys_do_not_matter(self):
        lines = [json.dumps({"other": [1, {"encoded": 3}], **json.loads(line)})
                 for line in reversed(self.text_of_log.splitlines())]
        self.import_text("\n\n".join(lines))
        self.assertTrue(self.json("ls")["complete"])

    def test_a_cut_or_damaged_file_leaves_the_store_as_it_was(self):
        self.import_text(to_jsonl({1: self.log[1]}))
        before = self.json("ls")
        text = self.text_of_log
        for cut in range(500, len(text) - 2, 3000):
            self.import_text(text[:cut].rstrip("\n") if text[cut] != "\n" else text[:cut - 5],
                             VERIFICATION)
        for place in range(20, len(text), 2500):
            flipped = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1:]
            self.import_text(flipped, VERIFICATION)
        self.assertEqual(self.json("ls"), before)

    def test_a_bad_file_makes_no_store(self):
        self.import_text("nonsense\n", VERIFICATION)
        self.import_text(to_jsonl({7: self.log[7]}), VERIFICATION)
        self.assertFalse((self.place / "store").exists())

    def test_an_incomplete_pool_is_refused_with_what_is_missing(self):
        part = {n: self.log[n] for n in (1, 4, 30, 31)}
        report = json.loads(self.import_text(to_jsonl(part), VERIFICATION).stderr)
        self.assertEqual((report["error"], report["seqnum"]), ("unit_unanchored", 30))
        self.assertEqual(report["missing"], "13,26")
        self.assertEqual(reference.path(30, 1), [30, 26, 13, 4, 1])

    def test_what_is_held_already_proves_what_comes(self):
        self.import_text(to_jsonl({n: self.log[n] for n in range(1, 14)}))
        self.import_text(to_jsonl({n: self.log[n] for n in (26, 30, 31)}))
        self.assertEqual(self.json("ls")["held"], "1-13,26,30-31")
        self.out("verify")

    def test_a_fork_of_a_held_log_is_recorded_and_caps_it(self):
        self.import_text(self.text_of_log)
        fork = make_log(25, b"other %d", start={n: self.log[n] for n in range(1, 21)})
        self.import_text(to_jsonl(fork), FORK)
        log = self.json("ls")
        self.assertEqual((log["cap"], log["head"]), (21, 20))
        self.assertIn("capped at 21", self.text("ls"))
        self.out("delete", log["log"], "--payloads", "--range", "2-4")
        self.assertIn("capped at 21, but 3 payloads deleted", self.text("ls"))
        self.assertIn("two entries", self.error(FORK, "verify"))
        self.assertIn("FORK", self.run_culm("verify", status=FORK).stdout.decode())
        report = json.loads(self.import_text(self.text_of_log, FORK).stdout.splitlines()[0])
        self.assertEqual((report["entries_known"], report["entries_capped"]), (20, 20))

    def test_what_a_fork_drops_is_no_more_counted_as_held(self):
        self.import_text(self.text_of_log)
        self.out("delete", self.json("ls")["log"], "--payloads", "--range", "38-39")
        fork = make_log(25, b"other %d", start={n: self.log[n] for n in range(1, 21)})
        self.import_text(to_jsonl(fork), FORK)
        log = self.json("ls")
        verdict = json.loads(self.run_culm("verify", "--json", status=FORK).stdout.splitlines()[0])
        size = sum(len(b"payload %d" % n) for n in range(1, 21))
        self.assertEqual((log["entries"], log["payloads"], log["payload_bytes"]), (20, 20, size))
        self.assertEqual(log["payloads_deleted"], 0)
        self.assertEqual((verdict["payloads"], verdict["payload_bytes"]), (20, size))
        entry = self.json("inspect", log["log"], "30")
        self.assertEqual((entry["level"], entry["payload_state"]), ("dropped", "dropped"))
        self.assertIn("dropped: at or above the fork", self.text("inspect", log["log"], "30"))
        self.error(NOT_FOUND, "cat", log["log"], "--range", "30")
        self.assertIn("20 entries, 20 payloads", self.text("forget", log["log"], "--dry-run"))
        for arguments in ["--dry-run"], []:
            report = self.json("forget", log["log"], "--own", *arguments)
            self.assertEqual((report["entries"], report["payloads"], report["payload_bytes"],
                              report["dropped"]), (20, 20, size, "21-40"))

    def test_a_fork_inside_the_file_is_refused(self):
        fork = make_log(25, b"other %d", start={n: self.log[n] for n in range(1, 21)})
        report = json.loads(self.import_text(self.text_of_log + to_jsonl(fork), FORK).stderr)
        self.assertEqual((report["error"], report["kind"], report["seqnum"]), ("fork", "fork", 21))
        self.assertEqual(report["line"], 61)
        self.assertFalse((self.place / "store").exists())

    def test_forks_are_named_each_with_its_log_and_counted(self):
        def forked(seed, at):
            whole, hashes = {}, {}
            for n in range(1, 41):
                whole[n] = reference.write_entry(seed, 0, n, b"payload %d" % n, hashes, 0)
                hashes[n] = reference.entry_hash(whole[n])
            fork = {n: whole[n] for n in range(1, at)}
            for n in range(at, 26):
                fork[n] = reference.write_entry(seed, 0, n, b"other %d" % n,
                                                {m: reference.entry_hash(e) for m, e in fork.items()}, 0)
            return to_jsonl(whole, b"payload %d"), \
                to_jsonl({n: e for n, e in fork.items() if n >= at}, b"other %d")
        good, forks = zip(forked(SEED, 21), forked(SEED[::-1], 5))
        both = self.write("both", "".join(good + forks))
        for verb in "verify", "import":
            failure = self.json(verb, "--jsonl", both, status=FORK)
            self.assertEqual((failure["error"], sorted(f["at"] for f in failure["forks"])),
                             ("fork", [5, 21]))
            said = self.error(FORK, verb, "--jsonl", both)
            for fork in failure["forks"]:
                self.assertIn(f"log {fork['log']} at {fork['at']}", said)
            self.assertIn("next: leave out these logs from there on", said)
        self.import_text("".join(good))
        for added in range(2):  # new evidence, and evidence that is known
            done = self.import_text("".join(forks if added == 0 else good), FORK)
            report, failure = json.loads(done.stdout), json.loads(done.stderr)
            self.assertEqual(report["forks"], failure["forks"])
            self.assertEqual(sorted(f["at"] for f in report["forks"]), [5, 21])
            self.assertEqual((report["entries_added"], report["entries_known"],
                              report["entries_capped"]), (0, 24 * added, 26 + 30 * added))
            self.assertIn("culm verify", failure["next"])

    def test_nothing_follows_an_end_of_log(self):
        self.import_text(to_jsonl(make_log(20, tag_at=20)))
        self.assertEqual(self.json("ls")["end_of_log"], 20)
        self.import_text(to_jsonl(make_log(22, tag_at=20)), VERIFICATION)

    def test_a_file_of_the_store_itself_is_refused(self):
        self.import_text(self.text_of_log)
        self.error(USAGE, "import", "--jsonl", self.path("store/data.mdb"))
        os.link(self.path("store/data.mdb"), self.path("linked"))
        self.error(USAGE, "import", "--jsonl", "linked")

    def test_an_empty_file_brings_nothing(self):
        report = json.loads(self.import_text("\n \n").stdout)
        self.assertEqual(report["entries_added"], 0)

    def test_an_empty_file_is_good_and_said_to_be_empty(self):
        """As for an import: that nothing was exported is no damage."""
        self.write("blank", "\n \n")
        for name in "blank", "/dev/null":
            self.assertEqual(self.text("verify", "--jsonl", name),
                             "the file is empty: nothing to verify\n")
            verdict = self.json("verify", "--jsonl", name)
            self.assertEqual((verdict["ok"], verdict["entries"], verdict["logs"]), (True, 0, 0))

    def test_files_that_are_none_are_refused(self):
        for verb in ["import"], ["verify"]:
            self.assertIn("next: check the name of the file",
                          self.error(NOT_FOUND, *verb, "--jsonl", "missing"))
        self.assertIn("next: name a file in place of the directory",
                      self.error(USAGE, "verify", "--jsonl", self.place))
        self.error(USAGE, "import", "--jsonl", self.place)
        self.error(USAGE, "import", "file")

    def test_a_full_disk_is_reported_and_the_rest_of_the_store_readable(self):
        self.import_text(to_jsonl({n: self.log[n] for n in range(1, 14)}))
        self.write("file", to_jsonl(make_log(300)))
        size = os.path.getsize(self.path("store/data.mdb"))
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        self.error(STORE, "import", "--jsonl", "file", preexec_fn=limit)
        self.assertEqual(self.json("ls")["head"], 13)
        self.out("verify")
        self.out("import", "--jsonl", "file")
        self.assertEqual(self.json("ls")["head"], 300)
        shutil.rmtree(self.path("store"))


if __name__ == "__main__":
    main()
