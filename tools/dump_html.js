"use strict";
/* dump_html.js - the page's data, its texts and differences, and the views of passes and of names.
 *
 * data.stages[i] is the IR as read (0) and after each place of the pipeline. A stage that ran and
 * changed something has the text of the IR, or its difference from the last stage that has one, and
 * so too the nodes that are new or not as they were (nodes_set: [id, label, value ids read, value
 * ids made, type, numbers of sources]) and those that are gone (nodes_gone). data.sources are the
 * model's own names; kernels, steps and buffers are there when the passes went as far.
 *
 * What comes from the model is put into text nodes, never parsed as markup: see h. */
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

/* h("div.note", {title: "x", onclick: f}, child, "text", [more]): an element. */
function h(tag, attributes, ...children) {
    const [name, ...classes] = tag.split(".");
    return fill(document.createElement(name), classes, attributes, children);
}

function s(tag, attributes, ...children) {
    const [name, ...classes] = tag.split(".");
    return fill(document.createElementNS(SVG, name), classes, attributes, children);
}

function fill(element, classes, attributes, children) {
    if (classes.length) element.setAttribute("class", classes.join(" "));
    for (const [key, value] of Object.entries(attributes || {})) {
        if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
        else if (value !== undefined && value !== false) element.setAttribute(key, value);
    }
    element.append(...children.flat(Infinity)
        .filter((child) => child !== null && child !== undefined));
    return element;
}

function link(hash, ...children) { return h("a", {href: "#" + hash}, children); }
function plural(n, word) { return n + " " + word + (n === 1 ? "" : "s"); }

function time(seconds) {
    if (seconds >= 1) return seconds.toFixed(2) + " s";
    if (seconds >= 1e-3) return (seconds * 1e3).toFixed(seconds < 0.1 ? 2 : 0) + " ms";
    return (seconds * 1e6).toFixed(seconds < 1e-5 ? 1 : 0) + " \u00b5s";
}

function bytes(n) {
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    for (; n >= 999.5 && unit < 3; unit++) n /= 1000;
    return n.toFixed(unit && n < 99.95 ? 1 : 0) + " " + units[unit];
}

function tabs(items, here) {
    return h("div.tabs", {}, items.filter(Boolean).map(([hash, title]) =>
        h(hash === here ? "a.here" : "a", {href: "#" + hash}, title)));
}

/* --- stages ------------------------------------------------------------------------------- */

function ran(stage) { return stage.skipped === undefined; }
function isProgram(i) {
    for (; i >= 0; i--)
        if (data.stages[i].text !== undefined) return i > 0;
    return false;
}

/* The hunks of a unified diff: {a, b: numbers of the first lines from 0, lines: [mark, text]}. */
function readHunks(diff) {
    const hunks = [];
    for (const line of diff.split("\n").slice(2, -1)) {
        const head = line[0] === "@" && /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
        if (head)
            hunks.push({a: head[1] - (head[2] > 0), b: head[3] - (head[4] > 0), lines: []});
        else
            hunks[hunks.length - 1].lines.push([line[0], line.slice(1)]);
    }
    return hunks;
}

function applyHunks(lines, hunks) {
    const out = [];
    let at = 0;
    for (const hunk of hunks) {
        while (at < hunk.a) out.push(lines[at++]);
        for (const [mark, text] of hunk.lines) {
            if (mark !== "+") at++;
            if (mark !== "-") out.push(text);
        }
    }
    return out.concat(lines.slice(at));
}

const texts = [];
function textAt(i) {
    const stage = data.stages[i];
    if (texts[i]) return texts[i];
    if (stage.text !== undefined) texts[i] = stage.text.split("\n").slice(0, -1);
    else if (stage.diff !== undefined) texts[i] = applyHunks(textAt(i - 1), readHunks(stage.diff));
    else texts[i] = textAt(i - 1);
    return texts[i];
}

function makeNode([id, label, reads, makes, type, sources]) {
    return {id, label, op: label.split("\n")[0], reads, makes, type, sources};
}

/* The nodes after stage i, by id. */
const graphs = [];
function graphAt(i) {
    if (graphs[i]) return graphs[i];
    const stage = data.stages[i];
    if (i > 0 && !stage.nodes_set) return graphs[i] = graphAt(i - 1);
    const nodes = new Map(i > 0 ? graphAt(i - 1) : []);
    for (const id of stage.nodes_gone) nodes.delete(id);
    for (const record of stage.nodes_set) nodes.set(record[0], makeNode(record));
    return graphs[i] = nodes;
}

function opCounts(i) {
    const counts = new Map();
    for (const node of graphAt(i).values()) counts.set(node.op, (counts.get(node.op) || 0) + 1);
    return counts;
}

/* --- IR as text --------------------------------------------------------------------------- */

const token = new RegExp([
    String.raw`(?<loc> loc\("(?:[^"\\]|\\.)*"(?:[^()"]|"(?:[^"\\]|\\.)*")*\))`,
    String.raw`(?<value>%\d+)`, String.raw`(?<name> "(?:[^"\\]|\\.)*"(?=(?:,| =|:)))`,
    String.raw`(?<string>"(?:[^"\\]|\\.)*")`,
    String.raw`(?<type>\b(?:f|bf|i|u)\d+\[[^\]]*\]|\bbool\[[^\]]*\])`,
    String.raw`(?<op>(?<=^[^{=]* = )[a-z_][a-z_0-9.]*(?![\w.[])|` +
        String.raw`\b(?:for|parallel|vector|unroll|if|else|alloc|launch)\b)`,
    String.raw`(?<comment>^;.*)`].join("|"), "g");

let namesShown = false;
function withoutNames(text) {
    return text.replace(token, (word, ...rest) => {
        const groups = rest[rest.length - 1];
        return groups.loc !== undefined || groups.name !== undefined ? "" : word;
    });
}
function visible(text) { return namesShown ? text : withoutNames(text); }

/* A line with its words marked; `stage` makes values links to what is known of them. */
function irLine(text, stage) {
    const out = [];
    let at = 0;
    for (const match of text.matchAll(token)) {
        out.push(text.slice(at, match.index));
        at = match.index + match[0].length;
        const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
        if (kind !== "value") out.push(h("span.t-" + kind, {}, match[0]));
        else if (stage === undefined) out.push(match[0]);
        else out.push(link("value/" + stage + "/" + match[0].slice(1), match[0]));
    }
    out.push(text.slice(at));
    return out;
}

function showText(lines, stage) {
    return h("div.text", {}, lines.map((line) => h("div", {}, irLine(visible(line), stage))));
}
function showCode(text) {
    return h("div.text.code", {}, text.replace(/\n$/, "").split("\n").map((line) =>
        h("div", {}, line || "\u200b")));
}

/* --- differences -------------------------------------------------------------------------- */

/* The words that differ between two lines are marked: all but what they begin and end with. */
function markWords(text, other, stage) {
    let from = 0, end = text.length;
    const limit = Math.min(text.length, other.length);
    const inWord = (at) => at > 0 && at < text.length &&
                           /^[\w.%]{2}$/.test(text.slice(at - 1, at + 1));
    while (from < limit && text[from] === other[from]) from++;
    while (end > from && other.length - (text.length - end) > from &&
           text[end - 1] === other[other.length - 1 - (text.length - end)]) end--;
    while (inWord(from)) from--;
    while (inWord(end)) end++;
    if (from + text.length - end < text.length / 4) return irLine(text, stage);
    return [irLine(text.slice(0, from), stage),
            h("span.word", {}, irLine(text.slice(from, end), stage)),
            irLine(text.slice(end), stage)];
}

/* What a line defines: "%12", "kernel", "step 3". */
function defined(line) { return /^\s*(input )?(%\d+|\w+( \d+)?)/.exec(line.text)?.[0]; }

/* Beside each other stand lines that define the same; others stand alone. */
function pairRun(removed, added, rows) {
    let from = 0;
    for (const left of removed) {
        const name = defined(left);
        const at = added.findIndex((right, n) => n >= from && name && defined(right) === name);
        if (at >= 0)
            for (; from < at; from++) rows.push({right: added[from], changed: true});
        rows.push({left, right: at >= 0 ? added[from++] : undefined, changed: true});
    }
    for (const right of added.slice(from)) rows.push({right, changed: true});
}

/* The lines of a hunk as rows of what was and what is there. */
function pairLines(hunk) {
    const rows = [];
    let {a, b} = hunk, removed = [], added = [];
    const flush = () => {
        pairRun(removed, added, rows);
        removed = [];
        added = [];
    };
    for (const [mark, text] of hunk.lines) {
        if (mark === "-") removed.push({at: ++a, text});
        else if (mark === "+") added.push({at: ++b, text});
        else {
            flush();
            rows.push({left: {at: ++a, text}, right: {at: ++b, text}, changed: false});
        }
    }
    flush();
    return rows;
}

function codeCell(kind, line, other, stage) {
    if (!line) return h("td.code", {});
    let text = visible(line.text), beside = other && visible(other.text);
    if (other && text === beside) [text, beside] = [line.text, other.text]; /* names differ alone */
    if (!kind) return h("td.code", {}, irLine(visible(line.text), stage));
    return h("td.code." + kind, {}, other ? markWords(text, beside, stage) : irLine(text, stage));
}
function atCell(line) { return h("td.at", {}, line ? line.at : ""); }

function splitRows(row, i) {
    const {left, right, changed} = row;
    return [h("tr", {}, atCell(left), codeCell(changed && "removed", left, right, i - 1),
              atCell(right), codeCell(changed && "added", right, left, i))];
}

function unifiedRows(row, i) {
    const {left, right, changed} = row;
    if (!changed)
        return [h("tr", {}, atCell(left), atCell(right), codeCell(null, left, null, i))];
    return [left && h("tr", {}, atCell(left), atCell(), codeCell("removed", left, right, i)),
            right && h("tr", {}, atCell(), atCell(right), codeCell("added", right, left, i))];
}

function showDiff(i, split) {
    const stage = data.stages[i];
    const rows = readHunks(stage.diff).map((hunk) => [
        h("tr.hunk", {}, h("td", {colspan: split ? 4 : 3}, "line " + (hunk.b + 1))),
        pairLines(hunk).map((row) => split ? splitRows(row, i) : unifiedRows(row, i)),
    ]);
    const columns = split ? ["3.6rem", "", "3.6rem", ""] : ["3.6rem", "3.6rem", ""];
    return h("table.diff", {},
             h("colgroup", {}, columns.map((width) =>
                 h("col", width ? {style: "width:" + width} : {}))), rows);
}

/* --- the view of a pass ------------------------------------------------------------------- */

function nameSwitch() {
    const box = h("input", {type: "checkbox", onchange: () => {
        namesShown = box.checked;
        show();
    }});
    box.checked = namesShown;
    return h("label", {}, box, " names and locations");
}

function opChips(i) {
    const before = i > 0 ? opCounts(i - 1) : new Map(), after = opCounts(i);
    const changes = [...new Set([...before.keys(), ...after.keys()])]
        .map((op) => [op, (after.get(op) || 0) - (before.get(op) || 0), after.get(op) || 0])
        .filter(([, change]) => change)
        .sort((x, y) => Math.abs(y[1]) - Math.abs(x[1]));
    return h("div.chips", {}, changes.map(([op, change, count]) =>
        h(change > 0 ? "span.chip.more" : "span.chip.less", {title: count + " are there now"},
          op + " " + (i === 0 ? count : (change > 0 ? "+" : "\u2212") + Math.abs(change)))));
}

function countsLine(i) {
    const stage = data.stages[i];
    if (isProgram(i))
        return plural(data.steps.length, "step") + ", " + plural(data.kernels.length, "kernel");
    if (stage.nodes === undefined) return "";
    const before = data.stages.slice(0, i).reverse().find((other) => other.nodes !== undefined);
    const from = before ? before.nodes + " \u2192 " : "";
    const constants = before ? before.constants + " \u2192 " : "";
    return from + plural(stage.nodes, "node") + ", " +
           constants + plural(stage.constants, "constant");
}

function sourceLinks(numbers, length = Infinity) {
    return numbers.map((number, i) =>
        [i ? ", " : "", link("source/" + number, shorten(data.sources[number], length))]);
}

function showRemarks(stage) {
    if (!stage.remarks.length) return h("p.dim", {}, "It said nothing.");
    return h("table", {}, stage.remarks.map((remark) =>
        h("tr", {}, h("td.keep.dim", {}, remark.level), h("td", {}, remark.text),
          h("td", {}, sourceLinks(remark.sources)))));
}

function stageTabs(i) {
    const stage = data.stages[i], at = "pass/" + i + "/";
    return [stage.diff !== undefined && [at + "diff", "Changes"],
            stage.diff !== undefined && [at + "split", "Side by side"],
            [at + "ir", isProgram(i) ? "Plan" : "IR"], [at + "graph", "Graph"],
            [at + "remarks", "Remarks (" + stage.remarks.length + ")"]];
}

function stageBody(i, tab, focus) {
    const stage = data.stages[i];
    switch (tab) {
    case "graph": return showGraph(i, focus);
    case "remarks": return showRemarks(stage);
    case "ir": return [h("div.tools", {}, nameSwitch()), showText(textAt(i), i)];
    default: return [h("div.tools", {}, nameSwitch()), showDiff(i, tab === "split")];
    }
}

function viewPass(number, tab, focus) {
    const i = Number(number), stage = data.stages[i];
    if (!stage) return viewPass(0);
    const head = [h("h2", {}, stage.name), h("p", {}, stage.doc)];
    if (!ran(stage)) return [head, h("p.dim", {}, "Did not run: it " + stage.skipped + ".")];
    tab = tab || (stage.diff !== undefined ? "diff" : stage.changed ? "ir" : "remarks");
    const counts = countsLine(i);
    return [head,
            h("p.dim", {}, [time(stage.seconds), counts].filter(Boolean).join(" \u00b7 ") +
                           (stage.changed ? "" : " \u00b7 changed nothing")),
            stage.nodes === undefined ? null : opChips(i),
            tabs(stageTabs(i), "pass/" + i + "/" + tab), stageBody(i, tab, focus)];
}

/* --- the views of a value and of a name --------------------------------------------------- */

/* The line of a stage's text that defines a value, with the lines of its region. */
function definition(i, value) {
    const lines = textAt(i), start = new RegExp("^(?:input )?(?:%\\d+[^=]*, )?%" + value + "\\b");
    const at = lines.findIndex((line) => start.test(line));
    if (at < 0) return [];
    let end = at + 1;
    while (lines[at].endsWith("{") && end < lines.length && /^\s/.test(lines[end])) end++;
    return lines.slice(at, lines[at].endsWith("{") ? end + 1 : end);
}

function viewValue(stageNumber, valueNumber) {
    const i = Number(stageNumber), value = Number(valueNumber);
    if (isProgram(i)) return viewBuffer(value);
    const nodes = [...graphAt(i).values()];
    const maker = nodes.find((node) => node.makes.includes(value));
    const input = data.inputs.find(([id]) => id === value);
    const users = nodes.filter((node) => node.reads.includes(value) && node.op !== "yield");
    const made = (node) => node.makes.length ? [link("value/" + i + "/" + node.makes[0],
        "%" + node.makes[0]), " " + node.label.split("\n").join(" ")] : node.label;
    return [
        h("h2", {}, "%" + value + (maker ? " = " + maker.op : input ? " " + input[1] : "")),
        h("p.dim", {}, "after ", link("pass/" + i, data.stages[i].name)),
        showText(definition(i, value), i),
        maker && [h("h3", {}, "From these nodes of the model"),
                  h("p", {}, maker.sources.length ? sourceLinks(maker.sources) : "none")],
        h("h3", {}, "Used by"), users.length ? users.map((node) => h("p", {}, made(node)))
                                             : h("p", {}, "an output of the model, or nobody"),
        maker && h("p", {}, link("pass/" + i + "/graph/" + maker.id, "Show it in the graph")),
    ];
}

/* Which stages made something else of a name: [stage, nodes that carry it]. */
function historyOf(number) {
    const out = [];
    for (let i = 0; i < data.stages.length; i++) {
        const stage = data.stages[i];
        if (!stage.nodes_set) continue;
        const before = i > 0 ? graphAt(i - 1) : new Map();
        const has = (node) => node && node.sources.includes(number);
        const touched = stage.nodes_set.some((record) => record[5].includes(number)) ||
                        stage.nodes_gone.some((id) => has(before.get(id))) ||
                        stage.nodes_set.some((record) => has(before.get(record[0])));
        if (touched) out.push([i, [...graphAt(i).values()].filter(has)]);
    }
    return out;
}

function viewSource(text) {
    const number = Number(text);
    const steps = (data.steps || []).map((step, i) => [step, i])
        .filter(([step]) => step.sources.includes(number));
    const remarks = data.stages.filter(ran).flatMap((stage) => stage.remarks
        .filter((remark) => remark.sources.includes(number)).map((remark) => [stage, remark]));
    return [
        h("h2", {}, data.sources[number]),
        h("p", {}, "What became of this node of the model, pass by pass."),
        historyOf(number).map(([i, nodes]) => [
            h("h3", {}, link("pass/" + i, data.stages[i].name)),
            nodes.length ? nodes.map((node) => showText(definition(i, node.makes[0]), i))
                         : h("p.dim", {}, "Nothing carries this name any more: " +
                                          "its value is computed another way, or not needed.")]),
        remarks.length ? h("h3", {}, "Remarks") : null,
        remarks.map(([stage, remark]) => h("p", {}, stage.name + ": " + remark.text)),
        data.steps && h("h3", {}, "Steps that compute it"),
        data.steps && !steps.length ? h("p.dim", {}, "None: it is a view of what another one " +
                                                  "computes, or it is gone.") : null,
        steps.map(([step, i]) => h("p", {}, link("step/" + i, "step " + i), " ", stepTitle(step))),
    ];
}

/* A table whose rows are filtered by what is typed. rows: [text, element]. */
function filtered(placeholder, rows, wrap) {
    const count = h("span.dim", {}, rows.length);
    const box = h("input", {type: "search", placeholder, oninput: () => {
        const words = box.value.toLowerCase().split(/\s+/);
        let shown = 0;
        for (const [text, element] of rows) {
            element.hidden = !words.every((word) => text.includes(word));
            shown += !element.hidden;
        }
        count.textContent = shown;
    }});
    rows = rows.map(([text, element]) => [text.toLowerCase(), element]);
    return [h("div.tools", {}, box, count), wrap(rows.map(([, element]) => element))];
}

function viewSources() {
    const rows = data.sources.map((name, i) => [name,
        h("tr", {}, h("td", {}, link("source/" + i, name)))]);
    return [h("h2", {}, "Nodes of the model"),
            h("p", {}, "Each leads to what the passes made of it, and to its steps."),
            filtered("part of a name or an op", rows, (found) => h("table", {}, found))];
}

/* --- the page ----------------------------------------------------------------------------- */

function passRow(stage, i) {
    const idle = !ran(stage) || !stage.changed;
    const counts = isProgram(i) && !idle ? plural(data.steps.length, "step")
        : !ran(stage) ? "not run" : idle ? "" : String(stage.nodes);
    const said = ran(stage) && stage.remarks.length;
    return h(idle ? "a.row.idle" : "a.row", {href: "#pass/" + i, title: stage.doc},
             h("b", {}, stage.name, said ? [" ", h("span.badge", {
                 title: plural(said, "remark")}, said)] : null),
             h("span", {}, counts), h("span", {}, ran(stage) ? time(stage.seconds) : ""));
}

function showSide() {
    const row = (hash, title, note) =>
        h("a.row", {href: "#" + hash}, h("b", {}, title), h("span", {}, note));
    const steps = data.steps || [];
    document.getElementById("side").append(
        h("header", {}, h("h1", {}, data.file.split("/").pop()),
          h("p", {}, [data.model, "lathe " + data.version, data.target, "-O" + data.level,
                      ...data.dims].filter(Boolean).join(" \u00b7 "))),
        h("h3", {}, "Passes"), ...data.stages.map(passRow),
        h("h3", {}, "Program"),
        ...(data.steps ? [row("steps", "Steps and kernels", steps.length),
                          row("memory", "Memory", data.arena === undefined ? "" :
                                                  bytes(data.arena))] : []),
        row("sources", "Nodes of the model", data.sources.length));
}

const views = {
    pass: viewPass, value: viewValue, source: viewSource, sources: viewSources,
    steps: () => viewSteps(), step: (i) => viewStep(Number(i)), memory: () => viewMemory(),
    kernel: (i, tab) => viewKernel(Number(i), tab), buffer: (i) => viewBuffer(Number(i)),
};

function show() {
    const [name, ...rest] = location.hash.slice(1).split("/");
    const main = document.getElementById("main");
    main.replaceChildren();
    main.append(...[(views[name] || (() => viewPass(0)))(...rest)].flat(Infinity).filter(Boolean));
    main.scrollTop = 0;
    const here = "#" + (name === "pass" || !views[name] ? "pass/" + (rest[0] || 0)
                        : /^(step|kernel)/.test(name) ? "steps" : name === "buffer" ? "memory"
                        : /^source/.test(name) ? "sources" : "");
    for (const row of document.querySelectorAll("nav a.row"))
        row.classList.toggle("here", row.getAttribute("href") === here);
}

function start() {
    document.title = data.file.split("/").pop() + " \u00b7 lathe-dump";
    showSide();
    window.addEventListener("hashchange", show);
    show();
}
