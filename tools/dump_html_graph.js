/* dump_html_graph.js - the graph as a picture: layers from top to bottom (Sugiyama, Tagawa and
 * Toda, "Methods for visual understanding of hierarchical system structures", 1981). Boxes lie in
 * the layer of their longest path; a layer is ordered by the means of its neighbours; edges over
 * several layers go through points of their own, which take part in the order. */
const MOST_BOXES = 1000, NEAR_BOXES = 120, SWEEPS = 8;
const CHAR = 6.9, LINE = 16, GAP_X = 18, GAP_Y = 38;

/* --- what is drawn: Map of key -> {key, lines, title, kind, hash, from: [keys]} ------------- */

function shorten(text, length) {
    return text.length <= length ? text : "\u2026" + text.slice(text.length - length + 1);
}

function boxOf(key, kind, lines, hash) {
    const most = 9;
    if (lines.length > most)
        lines = [...lines.slice(0, most - 1), "\u2026 " + (lines.length - most + 1) + " more"];
    return {key, kind, lines: lines.map((line) => shorten(line, 40)), title: lines.join("\n"), hash,
            from: []};
}

function stageGraph(i) {
    const boxes = new Map(), makers = new Map(), stage = data.stages[i];
    const before = i > 0 ? graphAt(i - 1) : null;
    const touched = new Set((before && stage.nodes_set || []).map((record) => record[0]));
    for (const [value, name, type] of data.inputs) {
        boxes.set("i" + value, boxOf("i" + value, "input", [name || "input", type],
                                     "value/" + i + "/" + value));
        makers.set(value, "i" + value);
    }
    const nodes = [...graphAt(i).values()].filter((node) => node.op !== "const");
    for (const node of nodes) {
        if (node.op === "yield") continue;
        const names = node.sources.map((number) => data.sources[number]);
        const kind = !touched.has(node.id) ? "" : before.has(node.id) ? "changed" : "new";
        const box = boxOf(node.id, kind, [...node.label.split("\n"), node.type],
                          "value/" + i + "/" + node.makes[0]);
        box.source = names.length ? names[0].replace(/ \([^)]*\)$/, "") : "";
        box.title = [box.title, ...names].join("\n");
        boxes.set(node.id, box);
        for (const value of node.makes) makers.set(value, node.id);
    }
    for (const node of nodes) {
        if (node.op === "yield") {
            node.reads.forEach((value, n) => {
                const box = boxOf("o" + n, "output", ["output " + n], "value/" + i + "/" + value);
                box.from = [makers.get(value)].filter((key) => key !== undefined);
                boxes.set(box.key, box);
            });
        } else {
            boxes.get(node.id).from = [...new Set(node.reads.map((value) => makers.get(value)))]
                .filter((key) => key !== undefined);
        }
    }
    return boxes;
}

/* A step reads what the last writer of each buffer left there. */
function programGraph() {
    const boxes = new Map(), writers = new Map();
    data.buffers.forEach((buffer, b) => {
        if (buffer.place !== "input") return;
        boxes.set("i" + b, boxOf("i" + b, "input", [buffer.name || "input", buffer.type],
                                 "buffer/" + b));
        writers.set(b, "i" + b);
    });
    data.steps.forEach((step, n) => {
        const box = boxOf(n, "", [stepTitle(step), ...step.writes.map((b) => data.buffers[b].type)],
                          "step/" + n);
        box.source = "step " + n;
        box.heat = stepShare(step);
        box.from = [...new Set(step.reads.map((b) => writers.get(b)))]
            .filter((key) => key !== undefined);
        for (const b of step.writes) writers.set(b, n);
        boxes.set(n, box);
    });
    data.buffers.forEach((buffer, b) => {
        if (buffer.place !== "output" || !writers.has(b)) return;
        const box = boxOf("o" + b, "output", [buffer.name || "output", buffer.type], "buffer/" + b);
        box.from = [writers.get(b)];
        boxes.set(box.key, box);
    });
    return boxes;
}

/* The boxes nearest to one of them, by the number of edges between. */
function neighbourhood(boxes, focus) {
    const near = new Set([focus]), next = new Map([...boxes.keys()].map((key) => [key, []]));
    for (const box of boxes.values())
        for (const key of box.from) {
            next.get(box.key).push(key);
            next.get(key).push(box.key);
        }
    for (const key of near) {
        if (near.size >= NEAR_BOXES) break;
        for (const other of next.get(key)) near.add(other);
    }
    return new Map([...boxes].filter(([key]) => near.has(key)).map(([key, box]) =>
        [key, {...box, from: box.from.filter((other) => near.has(other))}]));
}

/* --- layers ------------------------------------------------------------------------------- */

/* Sources of a graph are drawn just above their first user. */
function setLayers(boxes) {
    const users = new Map([...boxes.keys()].map((key) => [key, []]));
    for (const box of boxes.values()) for (const key of box.from) users.get(key).push(box);
    const waiting = new Map([...boxes].map(([key, box]) => [key, box.from.length]));
    const ready = [...boxes.values()].filter((box) => !box.from.length);
    for (const box of boxes.values()) box.layer = 0;
    for (const box of ready)
        for (const user of users.get(box.key)) {
            user.layer = Math.max(user.layer, box.layer + 1);
            waiting.set(user.key, waiting.get(user.key) - 1);
            if (!waiting.get(user.key)) ready.push(user);
        }
    for (const box of ready)
        if (!box.from.length && users.get(box.key).length)
            box.layer = Math.min(...users.get(box.key).map((user) => user.layer)) - 1;
}

function measure(box) {
    const longest = Math.max(...box.lines.map((line) => line.length));
    const source = box.source ? Math.min(box.source.length, 44) * 0.85 : 0;
    box.width = Math.max(longest, source, 6) * CHAR + 18;
    box.height = (box.lines.length + (box.source ? 1 : 0)) * LINE + 8;
}

/* The layers, with a point in each layer that an edge passes; edges as chains of places. */
function makeLayers(boxes) {
    const layers = [], edges = [];
    const put = (place) => (layers[place.layer] = layers[place.layer] || []).push(place);
    for (const box of [...boxes.values()].sort((x, y) => x.layer - y.layer)) {
        measure(box);
        Object.assign(box, {up: [], down: []});
        put(box);
    }
    for (const box of boxes.values())
        for (const key of box.from) {
            const chain = [boxes.get(key)];
            for (let layer = chain[0].layer + 1; layer < box.layer; layer++) {
                const point = {layer, width: 6, height: 0, up: [], down: []};
                put(point);
                chain.push(point);
            }
            chain.push(box);
            for (let n = 1; n < chain.length; n++) {
                chain[n].up.push(chain[n - 1]);
                chain[n - 1].down.push(chain[n]);
            }
            edges.push(chain);
        }
    return {layers: Array.from(layers, (layer) => layer || []), edges};
}

function sortLayers(layers) {
    const number = (layer) => layer.forEach((place, n) => { place.order = n; });
    layers.forEach(number);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
        const side = sweep % 2 ? "down" : "up";
        for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
            for (const place of layer) {
                const near = place[side];
                place.mean = near.length
                    ? near.reduce((sum, other) => sum + other.order, 0) / near.length : place.order;
            }
            layer.sort((x, y) => x.mean - y.mean || x.order - y.order);
            number(layer);
        }
    }
}

/* Places of a layer as near as they can be to where they want to be, in order and apart: runs that
 * would overlap are moved as one, to the mean of what their members want. */
function spread(layer) {
    const runs = [];
    for (const place of layer) {
        let run = {places: [place], width: place.width, sum: place.want, first: 0};
        run.first = place.want - place.width / 2;
        for (let last; (last = runs[runs.length - 1]) &&
                       last.first + last.width + GAP_X > run.first;) {
            runs.pop();
            const shift = last.width + GAP_X;
            run = {places: [...last.places, ...run.places], width: shift + run.width,
                   sum: last.sum + run.sum - shift * run.places.length, first: 0};
            let offset = 0, middle = 0;
            for (const member of run.places) {
                middle += member.want - (offset + member.width / 2);
                offset += member.width + GAP_X;
            }
            run.first = middle / run.places.length;
        }
        runs.push(run);
    }
    for (const run of runs) {
        let x = run.first;
        for (const place of run.places) {
            place.x = x + place.width / 2;
            x += place.width + GAP_X;
        }
    }
}

function setPlaces(layers) {
    for (const layer of layers) {
        let x = 0;
        for (const place of layer) {
            place.x = x + place.width / 2;
            x += place.width + GAP_X;
        }
    }
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
        const side = sweep % 2 ? "down" : "up";
        for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
            for (const place of layer) {
                const near = place[side];
                place.want = near.length
                    ? near.reduce((sum, other) => sum + other.x, 0) / near.length : place.x;
            }
            spread(layer);
        }
    }
    let y = 0, left = Infinity;
    for (const layer of layers) {
        const height = Math.max(0, ...layer.map((place) => place.height));
        for (const place of layer) {
            place.y = y;
            place.rowHeight = height;
            left = Math.min(left, place.x - place.width / 2);
        }
        y += height + GAP_Y;
    }
    for (const layer of layers) for (const place of layer) place.x -= left - GAP_X;
    return {height: y, width: Math.max(...layers.flat().map((place) => place.x + place.width / 2)) +
                              GAP_X};
}

/* --- the picture -------------------------------------------------------------------------- */

function edgePath(chain) {
    const first = chain[0];
    let path = "", x = first.x, y = first.y + first.height;
    path += `M${x.toFixed(1)} ${y}`;
    for (const place of chain.slice(1)) {
        const bottom = place === chain[chain.length - 1] ? place.y - 5 : place.y;
        const half = (bottom - y) / 2;
        path += `C${x.toFixed(1)} ${y + half} ${place.x.toFixed(1)} ${bottom - half} ` +
                `${place.x.toFixed(1)} ${bottom}`;
        if (place.lines) break;
        path += `V${bottom + place.rowHeight}`;
        [x, y] = [place.x, bottom + place.rowHeight];
    }
    return path;
}

function drawBox(box, focus) {
    const left = box.x - box.width / 2, classes = [".box", box.kind && "." + box.kind,
                                                   box.key === focus && ".focus"].filter(Boolean);
    return s("g.node", {onclick: () => { location.hash = box.hash; }},
             s("title", {}, box.title),
             s("rect" + classes.join(""), {x: left, y: box.y, width: box.width, height: box.height,
                                           rx: 4}),
             box.heat ? s("rect.heat", {x: left, y: box.y + box.height - 4, height: 4,
                                        width: Math.max(2, box.width * box.heat)}) : null,
             box.lines.map((line, n) => s(n ? "text.small" : "text", {
                 x: box.x, y: box.y + LINE * (n + 1), "text-anchor": "middle"}, line)),
             box.source ? s("text.small", {x: box.x, y: box.y + LINE * (box.lines.length + 1),
                                           "text-anchor": "middle"}, shorten(box.source, 44))
                        : null);
}

function drawGraph(boxes, focus) {
    setLayers(boxes);
    const {layers, edges} = makeLayers(boxes);
    sortLayers(layers);
    const size = setPlaces(layers);
    return s("svg", {viewBox: `0 -8 ${size.width.toFixed(0)} ${size.height}`,
                     width: size.width.toFixed(0), height: size.height},
             s("defs", {}, s("marker", {id: "arrow", viewBox: "0 0 8 8", refX: 2, refY: 4,
                                        markerWidth: 7, markerHeight: 7, orient: "auto"},
                             s("path.arrow", {d: "M0 0L8 4L0 8z"}))),
             edges.map((chain) => s("path.edge", {d: edgePath(chain),
                                                  "marker-end": "url(#arrow)"})),
             [...boxes.values()].map((box) => drawBox(box, focus)));
}

function zoomTools(svg, frame) {
    const width = Number(svg.getAttribute("width")), height = Number(svg.getAttribute("height"));
    let scale = 1;
    const zoom = (to) => {
        scale = Math.min(4, Math.max(0.05, to));
        svg.setAttribute("width", width * scale);
        svg.setAttribute("height", height * scale);
    };
    const fit = () => zoom(Math.min(1, frame.clientWidth / width, frame.clientHeight / height));
    const button = (text, title, onclick) => h("button", {title, onclick}, text);
    return [button("\u2212", "smaller", () => zoom(scale / 1.3)),
            button("+", "larger", () => zoom(scale * 1.3)),
            button("1:1", "as it is", () => zoom(1)), button("all", "the whole picture", fit)];
}

function legend(i, program) {
    const mark = (color, text) =>
        h("span", {}, h("i", {style: `border-color:var(${color})`}), text);
    if (program && !data.profile) return null;
    if (program) return h("span.legend", {}, mark("--heat", "part of the time"));
    if (i === 0 || !data.stages[i].nodes_set) return null;
    return h("span.legend", {}, mark("--new", "made by this pass"),
             mark("--changed", "changed by it"));
}

/* What is looked at first: what the pass made or changed, else where the graph begins. */
function firstBox(boxes) {
    const all = [...boxes.values()];
    return all.find((box) => box.kind === "new") || all.find((box) => box.kind === "changed") ||
           all.find((box) => box.kind === "input") || all[0];
}

/* focus: the key of a box, for a link to it. */
function showGraph(i, focus) {
    const program = isProgram(i), all = program ? programGraph() : stageGraph(i);
    let key = focus === undefined ? undefined : isNaN(focus) ? focus : Number(focus);
    if (!all.size) return h("p.dim", {}, "There is nothing to draw.");
    let boxes = all, note = null;
    if (!all.has(key)) key = undefined;
    if (all.size > MOST_BOXES) {
        if (key === undefined) key = firstBox(all).key;
        boxes = neighbourhood(all, key);
        note = h("p", {}, `The graph has ${all.size} nodes: the ${boxes.size} nearest to the `,
                 "marked one are drawn. A value's page leads to its place here.");
    }
    const svg = drawGraph(boxes, key), frame = h("div.picture.graph", {}, svg);
    const seen = boxes.get(key) || firstBox(boxes);
    requestAnimationFrame(() => frame.scrollTo(seen.x - frame.clientWidth / 2,
                                               seen.y - frame.clientHeight / 2));
    return [note, h("div.tools", {}, h("span", {}, zoomTools(svg, frame)), legend(i, program)),
            frame];
}
