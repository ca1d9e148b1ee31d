"""What documents, help and messages say of the command line: verbs and options that there are, and
examples that run."""

import functools
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

from relay_harness import NetworkScenario
from scenario import CULM, SOURCE, main

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
             "spec/**/*.md")
OTHER_PROGRAMS = {"cmake", "openssl", "pkg-config", "python3"}
OPTION = r"(?<![-\w])--[a-z][a-z-]*[a-z]"
ENDLESS = "follow", "relay"


@functools.cache
def options_of_verbs():
    """The options of each verb, and of "" those that stand anywhere."""
    def text(*arguments):
        return subprocess.run([CULM, *arguments], capture_output=True, check=True).stdout.decode()

    def options(help_text):
        return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", help_text, re.M))

    verbs = re.findall(r"^  ([a-z]+) ", text("--help"), re.M)
    return {"": options(text("--help")), **{verb: options(text("help", verb)) for verb in verbs}}


def pieces_of(markdown):
    """(piece of text, whether it is code), without blocks that are no shell."""
    for i, block in enumerate(re.split(r"^```", markdown, flags=re.M)):
        if i % 2 and block.startswith("sh\n"):
            yield from ((piece, True) for piece in re.split(r"[|&;()\n]|#.*", block[3:]))
        elif i % 2 == 0:
            text = re.sub(r"\n(?!\n|\||    |  culm )", " ", block)  # a span may go on in the next line
            for j, span in enumerate(text.split("`")):
                for piece in re.split(r"[|&;()\n]", span):
                    yield piece, j % 2 == 1 or piece.startswith("  culm ")


def faults_of(piece, is_code):
    """What `piece` says of verbs and options that is not so."""
    verbs = options_of_verbs()
    everywhere = verbs[""]
    words = piece.split()
    if not words or words[0] in OTHER_PROGRAMS or words[0].startswith(("tools/", "tests/")):
        return
    before = re.split(OPTION, piece)[0].split()
    verb = [word for word in before if word in verbs][-1] if words[0] in verbs else None
    if "culm" in words:
        rest = words[words.index("culm") + 1:]
        while rest and rest[0] in everywhere:
            rest = rest[2 if rest[0] == "--store" else 1:]
        verb = rest[0] if rest and rest[0] in verbs else verb
        if is_code and rest and not verb and re.fullmatch(r"[a-z]+", rest[0]):
            yield f"culm has no verb {rest[0]}: {piece.strip()}"
    known = everywhere | (verbs[verb] if verb else set().union(*verbs.values()))
    for option in re.findall(OPTION, piece):
        if option not in known:
            yield f"{verb or 'no verb'} has no {option}: {piece.strip()}"


def faults_of_text(markdown):
    return [fault for piece, is_code in pieces_of(markdown) for fault in faults_of(piece, is_code)]


def messages_of(source):
    """The command lines in backquotes of its strings."""
    joined = re.sub(r'"\s*\n\s*(?:///?)?\s*"', "", source)
    return re.findall(r"`culm [^`\n\"]*`", joined)


class Documents(NetworkScenario):
    def test_name_only_verbs_and_options_that_there_are(self):
        paths = [path for pattern in DOCUMENTS for path in SOURCE.glob(pattern)]
        self.assertGreater(len(paths), 15)
        for path in paths:
            self.assertEqual(faults_of_text(path.read_text()), [], path)

    def test_help_and_messages_name_only_those_too(self):
        for verb in options_of_verbs():
            self.assertEqual(faults_of_text(self.text("help", *[verb] if verb else [])), [], verb)
        found = 0
        for folder in "tools", "replication/host":
            for path in (SOURCE / folder).glob("**/*.[ch]pp"):
                for said in messages_of(path.read_text()):
                    self.assertEqual(faults_of_text(said), [], path)
                    found += 1
        self.assertGreater(found, 20)

    def test_messages_set_commands_in_backquotes(self):
        named = re.compile(r"(?<!\$)\(culm (?:%s)\b" % "|".join(filter(None, options_of_verbs())))
        for path in (SOURCE / "tools").glob("**/*.[ch]pp"):
            joined = re.sub(r'"\s*\n\s*"', "", path.read_text())
            self.assertEqual(named.findall(joined), [], path)

    def test_commands_that_are_printed_name_one_log_where_one_is_meant(self):
        """Also where the words before, or the name, have a variable of their own."""
        ambiguous = r"\b(?:short_name|to_string|to_hex)\([^)]*\b(?:log|key|author)\b"
        held = re.compile(r"\bstring (\w+) =\s*" + ambiguous)
        said = re.compile(r'`(?:[^`"]*\s)?culm [^`"]*" *(?:\+|;\s*\w+ \+=|\)\.append\()\s*([^;+]*)')
        found = 0
        for path in (SOURCE / "tools").glob("**/*.cpp"):
            joined = re.sub(r'"\s*\n\s*"', "", path.read_text())
            for function in re.split(r"\n}\n", joined):
                names = held.findall(function)
                for name in said.findall(function):
                    found += "name_of_one(" in name
                    self.assertNotRegex(name, ambiguous, path)
                    self.assertNotIn(name.split()[:1], [[n] for n in names], path)
        self.assertGreater(found, 4)

    def test_what_is_made_up_is_found(self):
        for text in ("`culm sync --made-up`", "`culm frobnicate`", "| x | sync --made-up |",
                     "With `--made-up` it", "in --made-up", "```sh\nls | culm ls --made-up\n```",
                     "`culm --store x ls --newest 3`", "`ls\n--push`", "culm ls --newest",
                     "so:\n  culm frobnicate --push"):
            self.assertEqual(len(faults_of_text(text)), 1, text)
        for text in ("`culm sync --push`", "`cmake --preset release`", "```cpp\na --made-up\n```",
                     "`culm --store x ls --full`", "culm makes", "sync --live"):
            self.assertEqual(faults_of_text(text), [], text)
        self.assertEqual(messages_of('"run `culm ls "\n   "--made-up` now"'), ["`culm ls --made-up`"])

    def test_tell_of_every_verb(self):
        shown = re.findall(r"^\| `\w+` \| ([^|]*) \|", (SOURCE / "spec/cli.md").read_text(), re.M)
        told = set(re.findall(r"[a-z]+", " ".join(shown)))
        told |= set(re.findall(r"culm (?:--store \w+ )?([a-z]+)", (SOURCE / "README.md").read_text()))
        self.assertEqual(set(options_of_verbs()) - {""} - told, set())

    def prepare(self):
        """A directory with all that the examples use; what their words stand for here."""
        del self.environment["CULM_STORE"]
        self.place = self.place / "start"
        self.place.mkdir()
        author = self.new_log(self.lines(1000))
        self.out("append", "--key", "me.key", "--lines", "--log-id", 1, stdin=b"other\n")
        self.write("notes.txt", "some\nlines\n")
        self.write("mine.txt", author)
        self.text("export", author + ".0", "--jsonl", "--range", "500-600", "-o", "part.jsonl")
        for seqnum, name in (1, "1.bin"), (3, "3.bin"), (4, "4.bin"), (4, "entry.bin"):
            self.write(name, bytes.fromhex(self.json("inspect", author + ".0", seqnum)["encoded"]))
        shutil.copytree(self.place / "culm-store", self.place / "a")
        relays = [self.relay(name, "--accept-any") for name in ("relay-1", "relay-2")]
        for relay in relays:
            self.out("sync", relay.address, "--push")
        return {"127.0.0.1:7474": relays[0].address, "127.0.0.1:7475": relays[1].address,
                "0.0.0.0:7474": "127.0.0.1:0", "AUTHOR": author, "4fd3ab12": author[:12] + ".0",
                "/mnt/backup": "backup", "~/.local": "local"}

    def run_example(self, example, place, is_endless):
        marks = place / "marks" if "culm forget" in example else self.environment["CULM_MARKS"]
        shell = subprocess.Popen(
            ["bash", "-c", f'culm() {{ {"exec " * is_endless}{shlex.quote(CULM)} "$@"; }}; '
             f"set -o pipefail; {example}"], cwd=place,
            env={**self.environment, "CULM_MARKS": str(marks)},  # one forgets the logs of others
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if is_endless:
                self.assertTrue(shell.stdout.readline(), example)
                shell.send_signal(signal.SIGTERM)
            output, errors = shell.communicate(timeout=60)
        finally:
            shell.kill()
        self.assertEqual(shell.returncode, 0, f"{example}\n{output}\n{errors.decode()}")

    def test_examples_of_help_run(self):
        words = self.prepare()
        start, ran = pathlib.Path(self.place), 0
        for verb in options_of_verbs():
            if not verb:
                continue
            place = start.parent / f"run-{verb}"
            shutil.copytree(start, place, ignore=shutil.ignore_patterns("relay-*"))
            for made in {"keygen": ["me.key"], "export": ["part.jsonl"]}.get(verb, []):
                (place / made).unlink()
            for line in self.text("help", verb).split("Example:\n")[1].splitlines():
                example = re.split(r"\s{3,}", line.strip())[0]
                for word, here in words.items():
                    example = example.replace(word, here)
                self.run_example(example, place, verb in ENDLESS)
                ran += 1
        self.assertGreater(ran, len(options_of_verbs()))


if __name__ == "__main__":
    main()
