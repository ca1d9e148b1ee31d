"""`culm verify --jsonl` and the slow reference say the same of the same file."""

import contextlib
import io
import json
import random

from export_import_scenario import SEED, make_log, to_jsonl
from scenario import NOT_FOUND, USAGE, Scenario, main, reference

OTHER_SEED = bytes(range(1, 33))


class Jsonl(Scenario):
    def compare(self, text, *options):
        """Both verdicts on `text`; they must agree in status, line, seqnum and reason."""
        data = text.encode() if isinstance(text, str) else text
        with contextlib.redirect_stdout(io.StringIO()):
            status, expected = reference.verify_jsonl(io.BytesIO(data), "--loose" in options)
        said = self.json("verify", "--jsonl", self.write("file", data), *options, status=status)
        said["ok"] = status == 0
        said["reason"] = said.get("error")
        self.assertEqual({key: said.get(key) for key in expected}, expected, data[:2000])
        return status, expected.get("reason")

    def test_good_files(self):
        log = make_log(45)
        other = reference.write_entry(OTHER_SEED, 3, 1, b"x", {})
        lines = (to_jsonl(log, b"payload %d") + to_jsonl({1: other})).splitlines(True)
        for text in ("".join(lines), "".join(reversed(lines)), "".join(lines * 2),
                     "\r\n".join(line.strip() for line in lines)):
            self.assertEqual(self.compare(text)[0], 0)

    def test_lines_that_are_no_json(self):
        line = to_jsonl(make_log(1), b"payload %d").strip()
        for bad, reason in (
                ("x", "file_format"), ("[]", "file_format"), ("{}", "file_format"), ("{", "file_format"),
                (line + line, "file_format"), (line + ",", "file_format"), ("null", "file_format"),
                (line[:-1] + ',"x":NaN}', "file_format"), ("\ufeff" + line, "file_format"),
                ('{"encoded":1}', "file_format"), ('{"encoded":null}', "file_format"),
                ('{"encoded":"00","payload":null}', "file_format"),
                ('{"encoded":"00","payload":5}', "file_format"),
                ('{"encoded":["00"]}', "file_format"), ('{"x":{"encoded":"00"}}', "file_format"),
                ('{"encoded":"0"}', "hex_format"), ('{"encoded":"0g"}', "hex_format"),
                ('{"encoded":" 00"}', "hex_format"), ('{"encoded":"00","payload":"0"}', "hex_format"),
                ('{"encoded":"é0"}', "hex_format"), ('{"encoded":""}', "entry_truncated")):
            for text in (bad, line + "\n" + bad, bad + "\n" + line):
                self.assertEqual(self.compare(text), (4, reason), bad)
        self.assertEqual(self.compare(b"\xff\n"), (4, "file_format"))
        self.assertEqual(self.compare('{"encoded":5,' + line[1:])[0], 0)
        self.assertEqual(self.compare(line[:-1] + ',"encoded":5}')[1], "file_format")
        self.assertEqual(self.compare(line[:-1] + ',"x":' + "[" * 500 + "]" * 500 + "}")[0], 0)

    def test_each_refusal_of_the_vectors(self):
        with open(reference.__file__.replace("tests/interop/reference.py",
                                             "spec/vectors/entry.json")) as file:
            cases = json.load(file)["cases"]
        line = to_jsonl(make_log(1))
        for case in cases:
            status, reason = self.compare(line + json.dumps({"encoded": case["bytes"]}), "--loose")
            if case.get("error"):
                self.assertEqual((status, reason), (4, case["error"]), case["id"])

    def test_payloads_that_do_not_fit(self):
        log = make_log(3)
        self.assertEqual(self.compare(to_jsonl(log, b"other %d")), (4, "payload_hash"))
        lie = reference.encode_unsigned(0, log[1].author, 0, 1, None, None, 99, log[1].payload_hash)
        entry = lie + reference.ed25519.sign(SEED, lie)
        text = json.dumps({"encoded": entry.hex(), "payload": b"payload 1".hex()})
        self.assertEqual(self.compare(text), (4, "payload_size"))

    def test_forks_and_which_of_several_comes_first(self):
        log = make_log(30)
        first = make_log(30, b"b %d", start={n: log[n] for n in range(1, 11)})
        second = make_log(30, b"c %d", start={n: log[n] for n in range(1, 21)})
        lines = [to_jsonl(entries).splitlines() for entries in (log, first, second)]
        self.assertEqual(self.compare("\n".join(lines[0] + lines[1])), (7, "fork"))
        self.compare("\n".join(lines[0] + lines[2] + lines[1]))
        # Above the fork without the forked entry itself: only a link tells.
        self.assertEqual(self.compare("\n".join(lines[0][:11] + lines[1][11:13]), "--loose"),
                         (7, "fork"))
        # A fork comes before an end of the log, whatever the lines.
        ended = make_log(12, tag_at=12)
        self.compare("\n".join(to_jsonl(ended).splitlines() + lines[0]))

    def test_entries_above_the_end(self):
        log = make_log(25, tag_at=20)
        self.assertEqual(self.compare(to_jsonl(log)), (4, "log_ended"))
        lines = to_jsonl(log).splitlines()
        self.assertEqual(self.compare("\n".join(reversed(lines))), (4, "log_ended"))

    def test_parts_of_a_log(self):
        log = make_log(60)
        members = lambda numbers: to_jsonl({n: log[n] for n in numbers})
        self.assertEqual(self.compare(members(reference.pool(33))[0:])[0], 0)
        self.assertEqual(self.compare(members([5, 6, 7])), (4, "unit_unanchored"))
        self.assertEqual(self.compare(members([5, 6, 7]), "--loose")[0], 0)
        self.assertEqual(self.compare(members([1, 4, 13, 20, 21])), (4, "unit_unanchored"))

    def test_random_files(self):
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        log = make_log(40, tag_at=chance.choice([None, 40, 38]))
        fork = make_log(40, b"other %d", start={n: log[n] for n in range(1, chance.randrange(2, 39))})
        other = {n: reference.write_entry(OTHER_SEED, 9, n, b"", {}) for n in [1]}
        everything = (to_jsonl(log) + to_jsonl(log, b"payload %d") + to_jsonl(other)).splitlines()
        forked = to_jsonl(fork).splitlines()
        for _ in range(60):
            lines = chance.sample(everything, chance.randrange(1, 60))
            if chance.random() < 0.4:
                lines += chance.sample(forked, chance.randrange(1, 5))
            chance.shuffle(lines)
            if chance.random() < 0.3:
                place = chance.randrange(len(lines))
                at = chance.randrange(len(lines[place]))
                lines[place] = lines[place][:at] + chance.choice('0f"{ ') + lines[place][at + 1:]
            self.compare("\n".join(lines), *chance.choice([[], ["--loose"]]))

    def test_a_refusal_is_said_in_one_line_for_people(self):
        log = make_log(3)
        log[2] = log[2]._replace(encoded=log[2].encoded[:-1] + b"\x00")
        message = self.error(4, "verify", "--jsonl", self.write("log.jsonl", to_jsonl(log)))
        self.assertIn("log.jsonl:2: seqnum 2: entry_signature: ", message)

    def test_a_file_that_ends_within_a_line_is_to_be_got_again(self):
        text = to_jsonl(make_log(3), b"payload %d")
        for cut in 1, 2, 30, len(text) // 3 - 10:
            for verb in "verify", "import":
                message = self.error(4, verb, "--jsonl", self.write("log.jsonl", text[:-1 - cut]))
                self.assertIn("log.jsonl:3: file_format: the file ends within line 3\n", message)
                self.assertIn("next: get it again", message)
        for whole in text[:-2] + "\n", '{"encoded":5}':
            self.assertIn("is not well-formed",
                          self.error(4, "verify", "--jsonl", self.write("log.jsonl", whole)))

    def test_files_that_are_not_there(self):
        self.error(NOT_FOUND, "verify", "--jsonl", "missing")
        self.error(USAGE, "verify", "--jsonl", self.place)
        self.error(USAGE, "verify", "--jsonl", "x", "--entry", "y")

    def test_standard_input_is_a_file_too(self):
        text = to_jsonl(make_log(5)).encode()
        self.assertEqual(self.json("verify", "--jsonl", "-", stdin=text)["entries"], 5)


if __name__ == "__main__":
    main()
