from scenario import NOT_FOUND, USAGE, Scenario, main


class Delete(Scenario):
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
                         "would delete 3 payloads (52 B): 2,299-300, of 300\n")
        report = self.json(*arguments, "--dry-run")
        self.assertEqual((report["would_delete"], report["would_delete_bytes"], report["seqnums"],
                          report["payloads"]), (3, 52, "2,299-300", 300))
        self.assertEqual(self.json("ls")["payloads"], 300)
        done = self.json(*arguments)
        self.assertEqual((done["deleted"], done["deleted_bytes"]), (3, 52))
        self.assertRegex(self.text("ls"), "complete, but 3 payloads deleted$")

    def test_the_log_goes_on_afterwards(self):
        self.out("delete", self.author, "--payloads", "--range", "1-")
        self.out("append", "--key", "me.key", stdin=b"later")
        self.assertEqual(self.out("cat", self.author), b"later")
        self.out("verify")

    def test_a_deleted_payload_is_not_printed(self):
        self.out("delete", self.author, "--payloads", "--range", "5")
        report = self.json("cat", self.author, "--range", "4-6", status=NOT_FOUND)
        self.assertEqual((report["error"], report["missing"]), ("payload_deleted", "5"))
        done = self.run_culm("cat", self.author)
        self.assertIn(b"1 of 300 payloads are not held", done.stderr)

    def test_a_deleted_payload_is_not_imported_again(self):
        self.out("export", self.author, "--jsonl", "-o", "all")
        self.out("delete", self.author, "--payloads", "--range", "5-7")
        report = self.json("import", "--jsonl", "all")
        self.assertEqual((report["entries_added"], report["payloads_added"],
                          report["payloads_deleted_before"]), (0, 0, 3))
        self.assertEqual(self.json("ls")["payloads"], 297)

    def test_the_same_again_deletes_nothing(self):
        self.out("delete", self.author, "--payloads", "--range", "5-7")
        self.assertEqual(self.json("delete", self.author, "--payloads", "--range", "5-7")["deleted"],
                         0)

    def test_nothing_is_deleted_without_the_flag(self):
        self.assertIn("--payloads", self.error(USAGE, "delete", self.author, "--range", "1-5"))
        self.error(USAGE, "delete", self.author, "--payloads")
        self.error(NOT_FOUND, "delete", "12345678", "--payloads", "--range", "1")
        self.assertEqual(self.json("ls")["payloads"], 300)


if __name__ == "__main__":
    main()
