"""E4 and E6: command lines that cannot be meant so, and stores that are not there."""

import re
import shlex
import shutil
import subprocess
import unittest

from scenario import CULM, NETWORK, NOT_FOUND, STORE, USAGE, Scenario, main


class Arguments(Scenario):
    def test_help_of_every_verb_explains_itself_with_an_example(self):
        verbs = re.findall(r"^  ([a-z]+) ", self.text("--help"), re.M)
        self.assertGreaterEqual(len(verbs), 17)
        self.assertEqual(self.text("help"), self.text("--help"))
        for verb in verbs:
            text = self.text(verb, "--help")
            self.assertEqual(self.text("help", verb), text)
            self.assertIn("Example:\n  culm", text)
            self.assertIn(f"culm {verb}", text)

    def test_a_whole_name_that_is_not_known_is_said_whole(self):
        self.new_log("a")
        for verb in "log", "cat":
            self.assertIn(f'"{"0" * 64}"', self.error(NOT_FOUND, verb, "0" * 64))

    def test_version_is_printed(self):
        self.assertRegex(self.text("--version"), r"^culm \d+\.\d+\.\d+\n$")
        version = self.json("--version")
        self.assertEqual(f"culm {version['version']}\n", self.text("-V"))

    def test_help_is_made_for_the_width_of_the_terminal(self):
        for columns in 50, 80, 100, 200:
            self.environment["COLUMNS"] = str(columns)
            for line in self.text("help", "sync").split("Example:")[0].splitlines():
                self.assertLessEqual(len(line), min(columns, 100))

    def test_no_verb_is_explained_in_one_wall_of_text(self):
        self.environment["COLUMNS"] = "100"
        for verb in re.findall(r"^  ([a-z]+) ", self.text("--help"), re.M):
            description = self.text("help", verb).split("\nUsage:")[0]
            for paragraph in description.split("\n\n"):
                text = [line for line in paragraph.splitlines() if not line.startswith("  ")]
                self.assertLessEqual(len(text), 8, paragraph)

    def test_what_a_next_step_shows_as_an_example_runs(self):
        for verb, printed in ("lipmaa", "13\n"), ("path", None):
            step = re.search(r"next: like `culm ([^`]*)`", self.error(USAGE, verb))
            said = self.text(*step[1].split())
            self.assertIn(printed or "1000000 ", said)

    def test_the_next_step_of_a_command_that_lacks_an_option_is_that_command_with_it(self):
        author = self.new_log("abc")
        self.write("my file", "x")
        for given, step in (
                (["delete", author, "--range", "1"], "--payloads"),
                (["--store", "store", "delete", author, "--range", "1"], "--payloads"),
                (["export", author, "--range", "1-2"], "--jsonl"),
                (["follow", author, "--from-start", "--lines", "--until", "3"], "--payloads")):
            said = self.error(USAGE, *given)
            command = re.search(r"\n  next: `culm ([^`]*)`", said)[1]
            self.assertEqual(shlex.split(command), [*given, step])
            self.out(*shlex.split(command))
        for given, step in (
                (["append", "my file", "--lines"], "--key FILE"),
                (["delete", author, "--payloads"], "--range RANGES"),
                (["import", "my file"], "--jsonl"), (["verify", "--loose"], "--jsonl FILE"),
                (["path", "last"], "--log LOG"), (["pool", "last"], "--log LOG"),
                (["inspect", author], "SEQNUM"), (["name", author], "NAME"),
                (["follow", "--until", "3"], "LOG")):
            said = self.error(USAGE, *given)
            command = f"`culm {' '.join(map(shlex.quote, given))} {step}`"
            self.assertIn(f"\n  next: {command}", said)

    def test_help_is_one_line_where_json_is_asked_for_and_says_so(self):
        for verb, narrow in ([], "--help"), (["ls"], "ls --help"):
            lines = [self.json(*arguments) for arguments in (["help", *verb], narrow.split())]
            self.assertEqual(lines, 2 * [{"type": "help", "message": self.text("help", *verb)}])
            self.assertIn("JSON, one object a line; help is one with its text",
                          " ".join(lines[0]["message"].split()))

    @unittest.skipUnless(shutil.which("groff"), "no groff")
    def test_man_pages_are_sound(self):
        self.text("help", "--manuals", "manuals")
        pages = sorted((self.place / "manuals/share/man/man1").iterdir())
        self.assertGreater(len(pages), 17)
        for page in pages:
            done = subprocess.run(["groff", "-man", "-Tascii", "-ww", page], capture_output=True)
            self.assertEqual(done.stderr, b"", page)
            self.assertIn(page.stem.encode(), done.stdout)

    def test_a_newcomer_is_told_what_to_do_first(self):
        for verb in "ls", "verify":
            message = self.error(NOT_FOUND, verb)
            for step in "--store DIR", "culm keygen", "culm append --key", "culm sync HOST:PORT":
                self.assertIn(step, message)
        self.assertIn("like `culm sync 127.0.0.1:7474", self.error(USAGE, "sync"))

    def test_what_is_no_command_line_is_refused_with_the_next_step(self):
        for arguments in ([], ["nonsense"], ["ls", "--nonsense"], ["lipmaa"], ["lipmaa", "1", "2"],
                          ["inspect"], ["help", "x"], ["keygen"], ["append"], ["delete", "12345678"],
                          ["verify", "--loose"], ["verify", "--payload", "x"]):
            self.assertIn("--help", self.error(USAGE, *arguments), arguments)

    def test_numbers_that_are_none_are_refused(self):
        for number in ("", "x", "1x", "-1", "+1", " 1", "0x10", "18446744073709551616", "1e3", "0"):
            self.error(USAGE, "lipmaa", "--", number)
        self.error(USAGE, "path", 5, 6)
        self.error(USAGE, "pool", 100, "--head", 99)
        for number in ("10x", "-1", "x", "1 w", "1e1", "s", "inf"):
            self.assertEqual(self.error(USAGE, "append", "--key", "k", "--wait", number)
                             .splitlines()[0],
                             f'culm: append: --wait "{number}" is no time: seconds, or a number '
                             "with ms, s, m, h or d")
        for option in ("--wait=", "--gate=", "--log-id="):
            for arguments in [option], [option, "7"]:
                self.assertIn(f"{option[:-1]} needs a value",
                              self.error(USAGE, "append", "--key", "k", *arguments))
        self.assertIn("--key goes once only\n",
                      self.error(USAGE, "append", "--key", "a", "--key", "b"))
        for arguments in ["--store"], ["ls", "--store"]:
            self.assertIn("--store needs a value: DIR", self.error(USAGE, *arguments))

    def test_sizes_have_units(self):
        author = self.new_log("abc")
        for size in ("1", "10kB", "1.5 MB", "64KiB", "1gib", "0.5TB", "10k", "10K", "1M", "1m",
                     "2G", "1t", "1Ti", "5b"):
            self.error(NETWORK, "sync", "127.0.0.1:1", author, "--budget", size)
        for size in "x", "10x", "1e3", "-1", "kB", "1.2.3MB", "1.5", "99999999999TB", "1 k B":
            for option in "--budget", "--payload-max":
                self.assertIn(option, self.error(USAGE, "sync", "127.0.0.1:1", author,
                                                 f"{option}={size}"))

        said = self.error(USAGE, "sync", "127.0.0.1:1", author, "--budget", "1x")
        for size in re.findall(r"(?<=[ (])[kMGT](?:i?B)?\b", said.splitlines()[0]):
            self.error(NETWORK, "sync", "127.0.0.1:1", author, "--budget", "1" + size)

    def test_times_have_units(self):
        author = self.new_log("abc")
        for time in "1", "1.5", "90s", "2 m", "1h", "1d", "500ms", "2M":
            for option in "--timeout", "--deadline", "--wait":
                self.error(NETWORK, "sync", "127.0.0.1:1", author, option, time)
        self.assertIn("at most a day", self.error(USAGE, "sync", "127.0.0.1:1", "--wait", "25h"))
        self.assertIn("(default 10s)", self.text("help", "append"))

    def test_a_live_sync_takes_no_timeout(self):
        for seconds in "1", "30":
            said = self.error(USAGE, "sync", "127.0.0.1:1", "--live", "--timeout", seconds)
            self.assertIn("--live does not go with --timeout", said)

    def test_ranges_that_are_none_say_where_why_and_how_they_are_written(self):
        author = self.new_log("abc")
        missing, none = "a seqnum is missing", "this is no seqnum"
        backward, place = "this range ends before it begins", "only - or , can follow here"
        large = "no seqnum is larger than 18446744073709551615"
        for ranges, character, reason in (
                ("3-1", 1, backward), ("7,5-3", 3, backward), ("-3--5", 1, backward),
                ("0-5", 1, "seqnums start at 1"), ("5-0", 3, "seqnums start at 1"),
                ("-0", 1, "the last entry is -1 or last"), ("x", 1, none), ("5-x", 3, none),
                ("0x1", 2, place), ("5-0x1", 4, "only , can follow here"),
                ("5 -9", 2, place), ("lasts", 5, place), ("1-2-3", 4, "only , can follow here"),
                ("last-3-", 7, "only , can follow here"), ("--3", 1, none), ("1,,2", 3, missing), ("5,", 3, missing),
                ("18446744073709551616", 1, large), ("1-99999999999999999999", 3, large)):
            for verb in ["log", author], ["sync", "127.0.0.1:1", author], ["select", author]:
                said = self.error(USAGE, *verb, f"--range={ranges}").splitlines()[0]
                self.assertIn(f'--range "{ranges}", at character {character}: {reason}', said)
                self.assertIn("like 5-9,20,30-", said)
        said = self.error(USAGE, "sync", "127.0.0.1:1", author, "--range", "3,last")
        self.assertIn("at character 3: a peer is not asked for what counts from the end", said)
        self.assertIn("--newest N asks for the last N (ranges are like 5-9,20,30-)\n", said)

    def test_ranges_are_counted_from_the_end_alike_by_all_verbs_that_have_them(self):
        """But for what a peer is asked for: its end is not known before."""
        author = self.new_log("abcdefghijklm")
        listed = re.findall(r"(?m)^  ([a-z]+)  ", self.text("help"))
        verbs = {verb for verb in listed if "\n  --range RANGES" in self.text("help", verb)}
        done = {"cat": ["cat", author], "log": ["log", author], "export": ["export", author, "--jsonl"],
                "delete": ["delete", author, "--payloads", "--dry-run"],
                "select": ["select", author, "--dry-run"]}
        self.assertEqual(verbs, {*done, "sync"})
        for ranges, plain in ("-3-", "11-"), ("-3", "11"), ("last", "13"), ("-3--2", "11-12"), ("2,-1", "2,13"):
            for spelled in ["--range", ranges], [f"--range={ranges}"]:
                for verb in done.values():
                    for form in [], ["--json"]:
                        self.assertEqual(self.out(*verb, *spelled, *form),
                                         self.out(*verb, "--range", plain, *form), (verb, spelled))
                said = self.error(USAGE, "sync", "127.0.0.1:1", author, *spelled)
                self.assertIn("--newest N asks for the last N", said)

    def test_seqnums_are_counted_from_the_end_of_a_log_where_one_is_at_hand(self):
        author = self.new_log(str(n) for n in range(20))
        self.assertEqual(self.out("path", "last", "--log", author), self.out("path", "20"))
        self.assertEqual(self.out("path", "--log", author, "--", "-3", "-10"),
                         self.out("path", "18", "11"))
        self.assertEqual(self.out("pool", "-10", "--log", author),
                         self.out("pool", "11", "--log", author))
        self.assertEqual(self.out("pool", "3", "--head", "last", "--log", author),
                         self.out("pool", "3", "--head", "20", "--log", author))
        self.assertEqual(self.out("pool", "last", "--head", "20"),
                         self.out("pool", "20", "--head", "20"))
        for arguments in ["path", "last"], ["path", "5", "-1"], ["pool", "last"], [
                "pool", "3", "--head", "last"]:
            self.assertIn("--log", self.error(USAGE, *arguments))
        self.error(NOT_FOUND, "path", "--log", author, "--", "-21")

    def test_names_that_are_none_are_refused(self):
        author = self.new_log("abc")
        for name in ("", author[:7], author + "0", author[:-1] + "g", author + ".", author + ".x",
                     author + ".18446744073709551616", "../etc/passwd"):
            self.error(USAGE, "log", name)

    def test_an_empty_argument_is_refused(self):
        for arguments in (["cat", ""], ["ls", "--store", ""], ["log", "12345678", "--range", ""], [""]):
            self.assertIn("must not be empty", self.error(USAGE, *arguments))

    def test_an_empty_argument_is_named_with_the_help_of_its_verb(self):
        self.assertEqual(self.error(USAGE, "log", "x", "--range", ""),
                         "culm: --range must not be empty\n  next: culm log --help\n")

    def test_what_is_no_seqnum_is_told_from_where_they_count(self):
        for number in "3,002", "0", "x":
            self.assertEqual(self.error(USAGE, "lipmaa", number).splitlines()[0],
                             f'culm: lipmaa: N "{number}" is no seqnum: those are from 1 to 2^64 - 1')

    def test_the_help_says_which_exit_status_a_key_file_has(self):
        self.assertIn("3 not found (a store, log, entry, payload or file), 4 verification failed (a "
                      "bad or missing key file as well)", " ".join(self.text("--help").split()))

    def test_a_name_that_nobody_has_is_not_found(self):
        author = self.new_log("abc")
        other = "%064x" % (int(author, 16) ^ 1)
        for name in (other, "%08x" % (int(author[:8], 16) ^ 1), author + ".5"):
            self.assertIn("culm ls", self.error(NOT_FOUND, "log", name))

    def test_any_unique_start_of_a_name_will_do(self):
        author = self.new_log("abc")
        for name in author, author[:8], author[:8].upper(), author[:33]:
            self.assertEqual(self.out("cat", name), b"abc")

    def test_an_author_with_several_logs_is_no_single_log(self):
        key, author = self.keygen()
        for log_id in 3, 4:
            self.out("append", "--key", key, "--log-id", log_id, stdin=b"x")
        for arguments in (["inspect", author, 1], ["pool", 1, "--log", author],
                          ["path", 1, "--log", author]):
            message = self.error(USAGE, *arguments)
            self.assertIn(f" fits several logs, name one: {author}.3, {author}.4\n", message)
        self.out("name", author, "alice")
        said = self.error(USAGE, "inspect", "alice", "last")
        self.assertIn("next: like `culm inspect alice.3 last`\n", said)
        self.assertIn("signature", self.paste(said, "inspect"))
        for log_id in range(5, 13):
            self.out("append", "--key", key, "--log-id", log_id, stdin=b"x")
        said = self.error(USAGE, "pool", 1, "--log", author).splitlines()
        self.assertEqual((said[0].count(author[12:]), said[0][-11:]), (6, " and 5 more"))
        self.assertRegex(said[1], "^  next: ")
        self.error(NOT_FOUND, "cat", author + ".0")

    def test_a_very_long_argument_is_refused_in_few_words(self):
        self.new_log("abc")
        for verb in ["log"], ["lipmaa"], ["inspect", "--hex"]:
            done = self.run_culm(*verb, "a" * 120_000, status=USAGE if verb[0] != "inspect" else 4)
            self.assertLess(len(done.stderr), 1000)

    def test_control_characters_of_an_argument_are_escaped(self):
        self.new_log("abc")
        for arguments in (["lipmaa", "\x1b[31m"], ["log", "\x1b]0;x\x07"], ["\x1b[2J"],
                          ["keygen", "no/such\x1b[31m/place"]):
            done = self.run_culm(*arguments, status=NOT_FOUND if "keygen" in arguments else USAGE)
            self.assertNotIn(b"\x1b", done.stderr)

    def test_what_does_not_go_together_is_said_in_the_help_and_refused(self):
        for verb, one, other in (
                ("sync", ["--quote"], "--push"), ("sync", ["--live"], "--once"),
                ("sync", ["--undelete"], "--entries-only")):
            self.error(USAGE, verb, "127.0.0.1:1", *one, other)
            explained = self.text("help", verb).split(f"\n  {one[0]} ")[1].split("\n  --")[0]
            self.assertRegex(" ".join(explained.split()), f"Not with [^.]*{other}")
        self.error(USAGE, "help", "ls", "--manuals", "m")
        self.assertFalse((self.place / "m").exists())

    def test_a_store_that_is_not_there_is_not_found_and_not_made(self):
        log, peer = "1" * 64 + ".0", "127.0.0.1:1"
        table = {
            "ls": [[]], "log": [[log]], "cat": [[log], ["12345678"]], "follow": [[]],
            "inspect": [[log, 1]], "verify": [[], [log]], "du": [[]], "backup": [["copy"]],
            "compact": [[], ["--dry-run"]], "repair": [[], ["--dry-run"], ["--from", peer]],
            "delete": [[log, "--payloads", "--range", 1]], "select": [[], [log, "--all"]],
            "forget": [[log], [log, "--own"], [log, "--dry-run"]], "export": [[log, "--jsonl"]],
            "peers": [[], ["--forget", peer]], "path": [[4, "--log", log]],
            "pool": [[4, "--log", log]],
            "sync": [[peer], [peer, "--push"], [peer, "--live"], [peer, "--quote"],
                     [peer, "12345678"], [peer, "12345678", "--push"]]}
        # These need none, or make one.
        without = {"append", "import", "relay", "keygen", "help", "lipmaa", "mark", "name"}
        verbs = set(re.findall(r"^  ([a-z]+) ", self.text("--help"), re.M))
        self.assertEqual(set(table) | without, verbs)
        for verb, lines in table.items():
            for arguments in lines:
                said = self.error(NOT_FOUND, verb, *arguments)
                self.assertIn(f"culm: {verb}: store {self.path('store')}: there is no store\n"
                              "  next: name one with --store DIR or CULM_STORE", said)
                self.assertEqual(self.json(verb, *arguments, status=NOT_FOUND)["error"],
                                 "store_not_found")
        self.assertFalse((self.place / "store").exists())
        self.error(USAGE, "ls", "--store", "")

    def test_where_a_store_is_not_it_says_which_was_perhaps_meant(self):
        self.new_log("abc", store="place/notes")
        for verb in ["ls"], ["sync", "127.0.0.1:1"]:
            for there, meant in (("place/ntoes", "place/notes"), ("place/ntoes/", "place/notes"),
                                 ("place", "place/notes"), ("place/others", None)):
                said = self.error(NOT_FOUND, *verb, store=there)
                self.assertEqual("there is one in " in said, meant is not None, said)
                if meant:
                    self.assertIn(f"next: there is one in {self.path(meant)}; name one with", said)
        self.assertFalse((self.place / "place/ntoes").exists())

    def test_the_store_is_named_by_option_or_environment(self):
        author = self.new_log("abc")
        self.assertEqual(self.out("--store", self.path("store"), "cat", author, store="none"), b"abc")
        self.assertEqual(self.out("cat", author, "--store", self.path("store"), store="none"), b"abc")

    def test_what_is_no_store_of_ours_is_refused(self):
        for name, content in (("text", b"hello" * 3000), ("zero", bytes(65536))):
            (self.place / name).mkdir()
            self.write(f"{name}/data.mdb", content)
            self.error(STORE, "ls", store=name)
        self.error(USAGE, "ls", store="text/data.mdb")

    def test_an_error_is_an_object_for_programs(self):
        report = self.json("ls", status=NOT_FOUND)
        self.assertEqual((report["type"], report["error"]), ("failure", "store_not_found"))
        report = self.json("lipmaa", "x", status=USAGE)
        self.assertEqual((report["error"], report["next"]), ("usage", "culm lipmaa --help"))


if __name__ == "__main__":
    main()
