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
        shutil.copy(self.key + ".0.mark", self.path("old.mark"))
        self.append("4\n")
        shutil.copytree(self.path("backup"), self.path("other"))
        shutil.copy(self.key + ".0.mark", self.path("new.mark"))
        shutil.copy(self.path("old.mark"), self.key + ".0.mark")
        self.run_culm("append", "--key", self.key, stdin=b"other 4", store="other")
        shutil.copy(self.path("new.mark"), self.key + ".0.mark")
        report = self.json("append", "--key", self.key, stdin=b"5", store="other", status=FORK)
        self.assertEqual(report["reason"], "author_mark_fork")

    def test_a_missing_mark_stops_appending_until_it_is_adopted(self):
        os.remove(self.key + ".0.mark")
        message = self.append("4\n", FORK).stderr.decode()
        self.assertIn("me.key.0.mark is missing", message)
        self.assertIn("--adopt", message)
        self.append("4\n", 0, "--adopt")
        self.append("5\n")
        self.assertEqual(self.json("ls")["head"], 5)

    def test_a_damaged_mark_stops_appending(self):
        with open(self.key + ".0.mark", "r+b") as mark:
            mark.write(b"\xff" * os.path.getsize(mark.name))
        self.assertIn("is damaged", self.append("4\n", FORK).stderr.decode())

    def test_a_mark_that_is_cut_short_never_forks_the_log(self):
        mark = self.key + ".0.mark"
        with open(mark, "rb") as file:
            whole = file.read()
        for size in (0, 100, 152, 4096, 4200, len(whole) - 1):
            for content in (whole[:size], whole[:size] + bytes(len(whole) - size)):
                with open(mark, "wb") as file:
                    file.write(content)
                report = self.json("append", "--key", self.key, stdin=b"other 1", store="typo",
                                   status=FORK)
                self.assertIn(report["reason"], ("author_mark_format", "author_mark_behind"))
        with open(mark, "wb") as file:
            file.write(whole)
        self.append("4\n")

    def test_nothing_is_appended_to_a_part_of_the_own_log(self):
        self.append("".join(f"{n}\n" for n in range(60)))
        self.out("export", self.author, "--jsonl", "--range", "30-32", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        self.run_culm("append", "--key", self.key, stdin=b"x", store="other", status=FORK)


if __name__ == "__main__":
    main()
