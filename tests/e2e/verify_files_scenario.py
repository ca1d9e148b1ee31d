"""`culm verify --entry`: raw files, and whatever is not exactly what it should be."""

import os

from export_import_scenario import SEED, make_log
from scenario import NOT_FOUND, USAGE, VERIFICATION, Scenario, main, reference


class VerifyFiles(Scenario):
    def setUp(self):
        super().setUp()
        self.log = make_log(40)

    def raw(self, entry, name=None):
        data = getattr(entry, "encoded", entry)
        return self.write(name or f"{os.urandom(4).hex()}.bin", data)

    def refuse(self, reason, entry, **links):
        options = [text for name, value in links.items()
                   for text in ("--" + name, self.raw(value, name))]
        report = self.json("verify", "--entry", self.raw(entry), *options, status=VERIFICATION)
        self.assertEqual(report["error"], reason, (entry, links))
        return report

    def test_every_entry_of_a_log_is_good_with_its_links_and_payload(self):
        for n, entry in self.log.items():
            options = ["--payload", self.write("payload", b"payload %d" % n)]
            if n > 1:
                options += ["--backlink", self.raw(self.log[n - 1], "backlink"), "--lipmaalink",
                            self.raw(self.log[reference.lipmaa(n)], "lipmaalink")]
            report = self.json("verify", "--entry", self.raw(entry, "entry"), *options)
            self.assertEqual(report["hash"], reference.entry_hash(entry).hex())

    def test_what_is_not_exactly_one_canonical_entry_is_refused(self):
        good = self.log[8].encoded
        for cut in range(0, len(good), 7):
            self.refuse("entry_truncated", good[:cut])
        self.refuse("entry_trailing", good + b"\x00")
        self.refuse("entry_trailing", self.log[1].encoded + b"\n")
        self.refuse("entry_too_long", good * 2)
        self.refuse("entry_too_long", bytes(1_000_000))
        self.refuse("entry_tag", b"\x02" + good[1:])
        self.refuse("entry_signature", good[:-1] + bytes([good[-1] ^ 1]))
        self.refuse("author_key", good[:1] + bytes(32) + good[33:])
        for place in "backlink", "lipmaalink":
            self.refuse("entry_trailing", self.log[8], **{place: self.log[7].encoded + b"\x00"})
            self.refuse("entry_truncated", self.log[8], **{place: b""})

    def test_links_must_be_the_very_targets(self):
        entry = self.log[8]  # links to 7 and 4
        for n in 1, 3, 4, 6, 8, 9:
            self.refuse("link_mismatch", entry, backlink=self.log[n])
        for n in 1, 3, 5, 7, 8, 13:
            self.refuse("link_mismatch", entry, lipmaalink=self.log[n])
        fork = make_log(8, b"other %d", start={1: self.log[1]})
        self.refuse("link_mismatch", entry, backlink=fork[7])
        self.refuse("link_mismatch", entry, lipmaalink=fork[4])

    def test_a_lipmaalink_that_is_left_out_must_be_the_right_entry_all_the_same(self):
        entry = self.log[7]  # both links lead to 6
        self.assertIsNone(entry.lipmaalink)
        self.json("verify", "--entry", self.raw(entry), "--lipmaalink", self.raw(self.log[6]))
        fork = make_log(7, b"other %d", start={1: self.log[1]})
        self.refuse("link_mismatch", entry, lipmaalink=fork[6])
        for n in 1, 4, 5, 7:
            self.refuse("link_mismatch", entry, lipmaalink=self.log[n])

    def test_entry_1_has_no_links(self):
        self.refuse("link_mismatch", self.log[1], backlink=self.log[1])
        self.refuse("link_mismatch", self.log[1], lipmaalink=self.log[2])

    def test_targets_of_other_logs_are_refused(self):
        other_log = reference.write_entry(SEED, 1, 1, b"payload 1", {})
        other_author = reference.write_entry(bytes(32), 0, 1, b"payload 1", {})
        for target in other_log, other_author:
            self.refuse("entry_foreign", self.log[2], backlink=target)
            self.refuse("entry_foreign", self.log[2], lipmaalink=target)

    def test_nothing_links_to_an_end_of_log(self):
        log = make_log(8, tag_at=7)
        self.refuse("log_ended", log[8], backlink=log[7])
        self.json("verify", "--entry", self.raw(log[7]))

    def test_a_badly_signed_target_is_refused(self):
        bad = self.log[1].encoded[:-1] + bytes([self.log[1].encoded[-1] ^ 1])
        hashes = {1: reference.blake2b(bad)}
        entry = reference.write_entry(SEED, 0, 2, b"", hashes)
        self.refuse("entry_signature", entry, backlink=bad)

    def test_the_payload_must_fit(self):
        self.refuse("payload_hash", self.log[5], payload=b"payload 6")
        self.refuse("payload_hash", self.log[5], payload=b"")
        lie = reference.encode_unsigned(0, self.log[1].author, 0, 1, None, None, 5,
                                        self.log[1].payload_hash)
        self.refuse("payload_size", lie + reference.ed25519.sign(SEED, lie), payload=b"payload 1")

    def test_the_file_that_is_wrong_is_named(self):
        self.raw(self.log[8], "entry.bin")
        self.raw(self.log[6], "wrong.bin")
        message = self.error(VERIFICATION, "verify", "--entry", "entry.bin", "--backlink", "wrong.bin")
        self.assertIn("culm: verify: wrong.bin: link_mismatch: this is entry 6", message)
        self.error(NOT_FOUND, "verify", "--entry", "missing")
        self.error(NOT_FOUND, "verify", "--entry", "entry.bin", "--backlink", "missing")
        self.error(USAGE, "verify", "--entry", self.place)
        self.error(USAGE, "verify", "--backlink", "entry.bin")


if __name__ == "__main__":
    main()
