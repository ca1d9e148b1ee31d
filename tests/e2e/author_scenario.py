"""E9: an author never forks their own log by way of an old store or a lost mark."""

import os
import shutil

from scenario import FORK, Scenario, main


class AuthorMark(Scenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.append("1\n2\n3\n")

    def append(self, lines, status=0, *arguments):
        return self.run_culm("append", "--key", self.key, "--lines", *arguments,
                             stdin=lines.encode(), status=status)

    def test_a_restored_store_is_not_appended_to(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n5\n")
        shutil.rmtree(self.path("store"))
        os.rename(self.path("backup"), self.path("store"))
        message = self.append("other 4\n", FORK).stderr.decode()
        self.assertIn("missing from the store", message)
        self.assertIn("next: ", message)
        self.assertEqual(self.json("ls")["head"], 3)

    def test_a_lost_store_is_not_started_anew(self):
        shutil.rmtree(self.path("store"))
        self.append("other 1\n", FORK)

    def test_a_store_with_another_entry_is_not_appended_to(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        shutil.copy(self.mark(self.author), self.path("old.mark"))
        self.append("4\n")
        shutil.copytree(self.path("backup"), self.path("other"))
        shutil.copy(self.mark(self.author), self.path("new.mark"))
        shutil.copy(self.path("old.mark"), self.mark(self.author))
        self.run_culm("append", "--key", self.key, stdin=b"other 4", store="other")
        shutil.copy(self.path("new.mark"), self.mark(self.author))
        report = self.json("append", "--key", self.key, stdin=b"5", store="other", status=FORK)
        self.assertEqual(report["error"], "author_mark_fork")

    def test_a_missing_mark_stops_appending_until_it_is_adopted(self):
        os.remove(self.mark(self.author))
        message = self.append("4\n", FORK).stderr.decode()
        self.assertIn(f"{self.author}.0.mark is missing", message)
        self.assertIn("--adopt", message)
        self.append("4\n", 0, "--adopt")
        self.append("5\n")
        self.assertEqual(self.json("ls")["head"], 5)

    def test_a_damaged_mark_stops_appending(self):
        with open(self.mark(self.author), "r+b") as mark:
            mark.write(b"\xff" * os.path.getsize(mark.name))
        self.assertIn("is damaged", self.append("4\n", FORK).stderr.decode())

    def test_a_mark_that_is_cut_short_never_forks_the_log(self):
        mark = self.mark(self.author)
        with open(mark, "rb") as file:
            whole = file.read()
        for size in (0, 100, 152, 4096, 4200, len(whole) - 1):
            for content in (whole[:size], whole[:size] + bytes(len(whole) - size)):
                with open(mark, "wb") as file:
                    file.write(content)
                report = self.json("append", "--key", self.key, stdin=b"other 1", store="typo",
                                   status=FORK)
                self.assertIn(report["error"], ("author_mark_format", "author_mark_behind"))
        with open(mark, "wb") as file:
            file.write(whole)
        self.append("4\n")

    def test_a_key_finds_its_mark_by_whatever_path(self):
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n")
        os.link(self.key, self.path("link.key"))
        shutil.copy(self.key, self.path("copy.key"))
        os.mkdir(self.path("elsewhere"))
        shutil.move(self.key, self.path("elsewhere/key"))
        for key in ("link.key", "copy.key", "elsewhere/key"):
            report = self.json("append", "--key", self.path(key), stdin=b"other 4",
                               store="backup", status=FORK)
            self.assertEqual(report["error"], "author_mark_behind")
        self.out("append", "--key", self.path("link.key"), stdin=b"5")
        self.assertEqual(os.listdir(self.path("marks")), [f"{self.author}.0.mark"])

    def test_marks_lie_where_the_environment_says(self):
        home = {"HOME": self.path("home"), "XDG_DATA_HOME": self.path("data"), "CULM_MARKS": ""}
        for name, where in (("XDG_DATA_HOME", "data/culm/marks"),
                            ("HOME", "home/.local/share/culm/marks")):
            key, author = self.keygen(f"{name}.key")
            self.environment.update(home)
            self.out("append", "--key", key, stdin=b"x")
            self.assertEqual(os.listdir(self.path(where)), [f"{author}.0.mark"])
            self.assertEqual(os.stat(self.path(where)).st_mode & 0o777, 0o700)
            home["XDG_DATA_HOME"] = "data"  # relative: passed over

    def test_a_mark_beside_the_key_is_taken_over_once(self):
        old = self.key + ".0.mark"
        shutil.copytree(self.path("store"), self.path("backup"))
        self.append("4\n")
        shutil.move(self.mark(self.author), old)
        report = self.json("append", "--key", self.key, stdin=b"other", store="backup", status=FORK)
        self.assertEqual(report["error"], "author_mark_behind")
        self.assertFalse(os.path.exists(old))
        self.append("5\n")
        # Put back it is older than what is known, and so changes nothing.
        shutil.copy(self.mark(self.author), old)
        self.append("6\n")
        self.assertFalse(os.path.exists(old))
        shutil.copytree(self.path("store"), self.path("backup2"))
        # A version that kept it there went on.
        shutil.copy(self.mark(self.author), self.path("now"))
        self.append("7\n")
        shutil.move(self.mark(self.author), old)
        shutil.move(self.path("now"), self.mark(self.author))
        self.json("append", "--key", self.key, stdin=b"other", store="backup2", status=FORK)
        self.append("8\n")

    def test_a_damaged_mark_beside_the_key_stops_appending(self):
        shutil.move(self.mark(self.author), self.key + ".0.mark")
        with open(self.key + ".0.mark", "r+b") as mark:
            mark.write(b"\xff" * os.path.getsize(mark.name))
        for _ in range(2):
            report = self.json("append", "--key", self.key, stdin=b"1", store="new", status=FORK)
            self.assertEqual(report["error"], "author_mark_format")
        self.append("4\n", 0, "--adopt")

    def test_marks_are_carried_to_another_machine(self):
        self.out("append", "--key", self.key, "--log-id", 7, stdin=b"x")
        self.write("marks.jsonl", self.out("mark", "--json"))
        with self.other_machine():
            said = self.text("mark", "--import", "marks.jsonl")
            self.assertIn("2 marks", said)
            self.assertEqual(self.out("mark", "--json"), (self.place / "marks.jsonl").read_bytes())
            report = self.json("append", "--key", self.key, stdin=b"1", store="new", status=FORK)
            self.assertEqual(report["error"], "author_mark_behind")
            self.append("4\n")  # the store came along
            self.out("mark", "--import", "marks.jsonl")
            marks = self.json_lines("mark")
            self.assertEqual([(mark["log"], mark["seqnum"]) for mark in marks],
                             [(self.author, 4), (f"{self.author}.7", 1)])
        self.assertIn("4", self.text("mark", self.author))

    def test_marks_of_two_branches_do_not_replace_each_other(self):
        self.copy_marks()
        shutil.copytree(self.path("store"), self.path("clone"))
        self.append("4\n")
        with self.other_machine():
            self.run_culm("append", "--key", self.key, stdin=b"other 4", store="clone")
            self.write("marks.jsonl", self.out("mark", "--json"))
        self.error(FORK, "mark", "--import", "marks.jsonl")
        self.error(4, "mark", "--import", self.write("bad", '{"log":"x"}\n'))
        self.append("5\n")

    def test_nothing_is_appended_to_a_part_of_the_own_log(self):
        self.append("".join(f"{n}\n" for n in range(60)))
        self.out("export", self.author, "--jsonl", "--range", "30-32", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        self.run_culm("append", "--key", self.key, stdin=b"x", store="other", status=FORK)


if __name__ == "__main__":
    main()
