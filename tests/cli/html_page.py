"""html_page.py PAGE DIFF - that a page of `lathe-dump --html` is what it promises: nothing of the
model is markup, nothing comes from elsewhere, and each stage is the one before with its difference.
DIFF is what `lathe-dump --diff` printed for the same model. Prints what is wrong; exit code 1 then."""

import html.parser
import json
import re
import sys


class Page(html.parser.HTMLParser):
    tags, scripts, links, open_tag = (), (), (), ""

    def handle_starttag(self, tag, attributes):
        self.tags += (tag,)
        self.open_tag = tag
        self.scripts += ("",) if tag == "script" else ()
        self.links += tuple(n for n, _ in attributes if n in ("src", "href") or n.startswith("on"))

    def handle_endtag(self, tag):
        self.open_tag = ""

    def handle_data(self, text):
        if self.open_tag == "script":
            self.scripts = (*self.scripts[:-1], self.scripts[-1] + text)


def apply_diff(lines, diff):
    """The lines with a unified diff applied; what it says of them must be so."""
    out, at = [], 0
    for line in diff.split("\n")[2:-1]:
        head = re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", line)
        if head:
            start = int(head[1]) - (int(head[2]) > 0)
            out += lines[at:start]
            at = start
        elif line[0] == "+":
            out.append(line[1:])
        else:
            assert lines[at] == line[1:], f"line {at + 1} is {lines[at]!r}, the diff has {line!r}"
            out += [line[1:]] if line[0] == " " else []
            at += 1
    return out + lines[at:]


def check_graph(stage, nodes, lines):
    """The nodes are those of the text, by the first value that each makes."""
    for number in stage["nodes_gone"]:
        del nodes[number]
    nodes.update((record[0], record[1:]) for record in stage["nodes_set"])
    ops = [label.split("\n")[0] for label, *_ in nodes.values()]
    assert stage["constants"] == ops.count("const"), "constants are miscounted"
    assert stage["nodes"] == len(ops) - ops.count("const") - ops.count("yield"), "nodes too"
    text = [int(found[1]) for found in map(re.compile(r"%(\d+)").match, lines) if found]
    assert sorted(text) == sorted(makes[0] for _, _, makes, *_ in nodes.values() if makes)


def check_stages(data, diffs):
    lines, nodes, was_text = [], {}, False
    for number, stage in enumerate(data["stages"]):
        if "diff" in stage:
            lines = apply_diff(lines, stage["diff"])
            said = diffs.pop(0)  # of programs it holds kernels too, which the page has elsewhere
            assert "nodes" not in stage or said == stage["diff"], f"--diff differs: {stage['name']}"
        elif "text" in stage:
            lines, was_text = stage["text"].split("\n")[:-1], True
        if "nodes_set" in stage:
            check_graph(stage, nodes, lines)
        assert "skipped" in stage or stage["changed"] == ("diff" in stage or "text" in stage), number
    assert was_text and not diffs, f"not in the page: {diffs}"


def check_program(data):
    for step in data["steps"]:
        assert step["kind"] != "launch" or step["kernel"] < len(data["kernels"])
        assert all(b < len(data["buffers"]) for b in step["reads"] + step["writes"])
        assert step["writes"], f"step {step['name']} writes nothing"
    for kernel in data["kernels"]:
        assert kernel["text"].startswith("kernel ") and kernel["asm"] and "define" in kernel["llvm"]
    known = range(len(data["sources"]))
    assert all(n in known for part in data["steps"] + data["kernels"] for n in part["sources"])


def main(page_path, diff_path):
    with open(page_path, encoding="utf-8") as file:
        text = file.read()
    page = Page()
    page.feed(text)
    frame = "html head meta meta meta title style body nav main noscript script script"
    assert " ".join(page.tags) == frame, f"other tags than the frame's: {page.tags}"
    assert not page.links, page.links
    assert "url(" not in text.split("</style>")[0] and "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\"' ]*", page.scripts[-1])) == {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in page.scripts[-1] and "eval(" not in page.scripts[-1]
    data = json.loads(page.scripts[0])
    with open(diff_path, encoding="utf-8") as file:
        parts = re.split(r"^; .*\n", file.read(), flags=re.M)
    check_stages(data, [part for part in parts if part])
    check_program(data)


main(*sys.argv[1:])
