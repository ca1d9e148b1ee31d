from scenario import Scenario, main, reference

EDGES = [1, 2, 3, 4, 5, 12, 13, 14, 40, 121, 1000000, 2**32 - 1, 2**32, 2**32 + 1,
         (3**40 - 1) // 2, (3**40 - 1) // 2 + 2, 2**63, (3**41 - 1) // 2, 2**64 - 1]


class Arithmetic(Scenario):
    def test_lipmaa_agrees_with_the_reference(self):
        for n in EDGES:
            self.assertEqual(self.text("lipmaa", n), f"{reference.lipmaa(n)}\n")
            report = self.json("lipmaa", n)
            self.assertEqual((report["seqnum"], report["lipmaa"], report["has_lipmaalink"]),
                             (n, reference.lipmaa(n), reference.has_lipmaalink(n)))

    def test_path_agrees_with_the_reference(self):
        for n in EDGES:
            self.assertEqual([int(m) for m in self.text("path", n).split()], reference.path(n, 1))
        self.assertEqual(self.json("path", 100, 42)["path"], reference.path(100, 42))
        self.assertEqual(len(self.text("path", 1000000).split()), 28)

    def test_pool_agrees_with_the_reference(self):
        for n in EDGES[:11]:
            for head in n, n + 7, 2 * n, 10 * n:
                report = self.json("pool", n, "--head", head)
                self.assertEqual(report["entries"], len(reference.pool(n, head)))
        self.assertEqual(self.json("pool", 1000000)["entries"], 52)

    def test_pool_says_what_is_held_of_a_log(self):
        author = self.new_log(range(200))
        self.out("export", author, "--jsonl", "--range", "100", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        report = self.json("pool", 100, "--log", author, store="other")
        self.assertEqual(report["missing"], "")
        report = self.json("pool", 7, "--log", author, store="other")
        held = reference.members(reference.closure([[100, 100]], 200))
        missing = reference.ranges_of(set(reference.pool(7, max(held))) - held)
        self.assertEqual(report["missing"], reference.format_ranges(missing))


if __name__ == "__main__":
    main()
