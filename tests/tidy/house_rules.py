"""Holds the tree against the house's rules: which module may include which, where third-party
headers may stand, how long files, functions and lines may be, and that the specification has every
place that a header cites. Prints each offence as file:line; exits 1 when there is one."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1])
LEFT_OF = {
    "core": {"core"},
    "feed": {"core", "feed"},
    "store": {"core", "feed", "store"},
    "replication": {"core", "feed", "store", "replication"},
    "node": {"core", "feed", "store", "replication", "node"},
    "transport": {"core", "feed", "store", "replication", "node", "transport"},
    "host": {"core", "feed", "store", "replication", "node", "transport", "host"},
    "tools": {"core", "feed", "store", "replication", "node", "transport", "host", "tools"},
    "examples": {"culm.hpp"},
}
# Header pattern -> where alone it may be included.
CONFINED = [
    (r"sodium", r"core/\w+\.cpp"),
    (r"lmdb\.h", r"store/detail/"),
    (r"xxhash\.h", r"store/detail/"),
    (r"msgpack", r"replication/(codec|detail/\w+)\.cpp|replication/detail/\w+\.hpp"),
    (r"boost/", r"replication/(transport|host/detail)/|tools/"),
    (r"CLI/", r"tools/cli/command_line\.cpp"),
    (r"nlohmann/", r"replication/host/json\.cpp"),
]
# Words that have a plainer or more exact one.
BANNED = r"\banew\b|\bthe own\b|\bwhoever\b|who has called|called us|sees? to it"
# Words for people leave the command in one place, which completes the commands in them; what logs
# hold, and the manual, go past it.
SPOKEN = r"\bstderr\)|\(stderr,|write_raw\("
SPEAKERS = r"tools/(examples/|cli/(commands|progress|main|output|entry_format|names|cmd_help)\.)"
# What a simulator could not drive.
NOT_IN_NODE = r"<(thread|mutex|atomic|condition_variable|future|random)>|(steady|system)_clock"
FILE_LINES_MAX, FUNCTION_LINES_MAX, LINE_COLUMNS_MAX = 600, 70, 100
# What decides is to be seen at a glance.
REPLICATION_LINES_MAX = 350
offences = []


def offend(path, line, text):
    offences.append(f"{path}:{line}: {text}")


def module_of(path):
    nested = re.match(r"replication/(node|transport|host)/|tools/(examples)/", path)
    if nested:
        return nested.group(1) or nested.group(2)
    return path.split("/")[0]


def check_includes(path, lines):
    module = module_of(path)
    if module not in LEFT_OF:
        return
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include [<"]([^>"]+)[>"]', line)
        if not match:
            continue
        header = match.group(1)
        if header.startswith("culm/"):
            target = module_of(header[len("culm/"):])
            if target not in LEFT_OF[module]:
                offend(path, number, f"{module} must not depend on {target}")
            if "/detail/" in header and target != module:
                offend(path, number, f"{header} is private to {target}")
            if "/detail/" in header and path.endswith(".hpp") and "/detail/" not in path:
                offend(path, number, "a public header includes a private one")
        for pattern, place in CONFINED:
            if re.match(pattern, header) and not re.match(place, path):
                offend(path, number, f"<{header}> is confined to {place}")


def check_lengths(path, lines):
    lines_max = REPLICATION_LINES_MAX if path.startswith("replication/") else FILE_LINES_MAX
    if len(lines) > lines_max:
        offend(path, len(lines), f"over {lines_max} lines")
    start = None
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_COLUMNS_MAX:
            offend(path, number, f"over {LINE_COLUMNS_MAX} columns")
        # Formatted code: a function opens with a line that ends in "{" and closes at its column.
        opening = re.match(r"( {0,4})[^ }#/].*\) ?(const|noexcept|override|final| |:.*|->.*)*\{$", line)
        if start is None and opening and not re.match(r" *(class|struct|namespace|enum|union)\b", line):
            # A line that continues a declaration stands deeper than the brace that closes.
            start, depth = number, len(opening.group(1))
        elif start is not None and re.match(r" {0,%d}\}" % depth, line):
            if number - start + 1 > FUNCTION_LINES_MAX:
                offend(path, start, f"a function of {number - start + 1} lines")
            start = None


def anchors_of(markdown):
    found = set()
    for line in markdown.splitlines():
        match = re.match(r"#+ (.*)", line)
        if match:
            title = re.sub(r"[^\w\- ]", "", match.group(1).lower())
            found.add(title.strip().replace(" ", "-"))
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return found


def check_citations(path, lines, anchors):
    for number, line in enumerate(lines, 1):
        for page, anchor in re.findall(r"([a-z-]+\.md)(?![a-z])(?:#([a-z0-9-]+))?", line):
            if "Spec:" not in line and not line.strip().startswith("///"):
                continue
            if page not in anchors:
                offend(path, number, f"spec/{page} does not exist")
            elif anchor and anchor not in anchors[page]:
                offend(path, number, f"spec/{page} has no #{anchor}")


def check_architecture():
    """The table of ARCHITECTURE.md against the build; every file that the page names exists."""
    page = "ARCHITECTURE.md"
    built = {}
    for path in ROOT.glob("**/CMakeLists.txt"):
        if "build" in path.relative_to(ROOT).parts:
            continue
        for name, body in re.findall(r"culm_module\((\w+)(.*?)\)", path.read_text(), re.S):
            depends = re.search(r"DEPENDS ([\w ]+)", body)
            folder = str(path.parent.relative_to(ROOT))
            built[name] = (folder, set(depends.group(1).split()) if depends else set())
    said = {}
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        row = re.match(r"\| `culm::(\w+)` \| `([\w/]+)` \|([^|]*)\|", line)
        if row:
            said[row.group(1)] = (row.group(2), set(re.findall(r"\w+", row.group(3))))
            if said[row.group(1)] != built.get(row.group(1)):
                offend(page, number, f"the build says {built.get(row.group(1))}")
        for name in re.findall(r"`([\w/]+/[\w/]+(?:\.\w+)?)`", line):
            if not (ROOT / name).exists():
                offend(page, number, f"{name} does not exist")
    for name in sorted(built.keys() - said.keys()):
        offend(page, 1, f"says nothing of culm::{name}")


def main():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not files:  # an unpacked archive
        files = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if "build" not in p.parts]
    anchors = {p.name: anchors_of(p.read_text()) for p in (ROOT / "spec").glob("*.md")}
    checked = 0
    for path in files:
        if not re.search(r"\.(hpp|cpp|py|sh|md)$", path) or not (ROOT / path).is_file():
            continue
        lines = (ROOT / path).read_text().splitlines()
        checked += 1
        if len(lines) > FILE_LINES_MAX:
            offend(path, len(lines), f"over {FILE_LINES_MAX} lines")
        if path != "tests/tidy/house_rules.py":
            for number, line in enumerate(lines, 1):
                banned = re.search(BANNED, line, re.I)
                if banned:
                    offend(path, number, f'"{banned.group()}" has a plainer word')
        if not path.endswith((".hpp", ".cpp")):
            continue
        check_includes(path, lines)
        check_lengths(path, lines)
        check_citations(path, lines, anchors)
        if path.endswith(".hpp") and "#pragma once" not in lines:
            offend(path, 1, "no #pragma once")
        for number, line in enumerate(lines, 1):
            if "TODO" in line:
                offend(path, number, "an open TODO")
            if module_of(path) == "tools" and re.search(SPOKEN, line) and not re.match(SPEAKERS, path):
                offend(path, number, "words for people go through `say` or `tell`")
            if module_of(path) == "node" and re.search(NOT_IN_NODE, line):
                offend(path, number, "no thread, clock or source of chance in the node")
    check_architecture()
    assert checked > 50, f"only {checked} files were found"
    print(*sorted(set(offences)), sep="\n")
    sys.exit(1 if offences else 0)


main()
