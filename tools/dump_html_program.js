/* dump_html_program.js - the views of what the passes end in: steps, kernels, memory; and of times,
 * where a profile was given. */

/* --- times -------------------------------------------------------------------------------- */

const times = new Map((data.profile || []).map(([name, calls, us]) => [name, {calls, us}]));
const allTime = [...times.values()].reduce((sum, row) => sum + row.us, 0);

function timesName(step) {
    return step.kind === "launch" ? data.kernels[step.kernel].name : step.function;
}

/* Seconds of one call, the mean over all calls of its kernel; undefined where nothing is known. */
function stepTime(step) {
    const row = times.get(timesName(step));
    return row && row.us / row.calls * 1e-6;
}

/* The part of a run's time, 0 to 1. */
function stepShare(step) {
    const seconds = stepTime(step);
    return seconds && data.runs ? seconds * 1e6 * data.runs / allTime : 0;
}

/* --- steps -------------------------------------------------------------------------------- */

function stepTitle(step) {
    if (step.kind === "launch") return step.name || data.kernels[step.kernel].name;
    return step.kind + (step.function ? " " + step.function : "") +
           (step.name ? " " + step.name : "");
}

function kernelLink(number) {
    return link("kernel/" + number, data.kernels[number].name);
}

function timeCells(step) {
    if (!data.profile) return [];
    const seconds = stepTime(step), share = stepShare(step);
    return [h("td.number", {}, seconds === undefined ? "" : time(seconds)),
            h("td.keep", {}, share ? [h("span.bar", {style: `width:${(share * 6).toFixed(2)}rem`}),
                                      " " + (share * 100).toFixed(1) + " %"] : "")];
}

function stepRow(step, n) {
    const kernel = step.kind === "launch" ? data.kernels[step.kernel] : null;
    const made = step.writes.map((b) => data.buffers[b].type).join(", ");
    const names = step.sources.map((number) => data.sources[number]);
    const row = h("tr", {},
        h("td.number", {}, link("step/" + n, n)),
        h("td", {}, kernel ? kernelLink(step.kernel) : stepTitle(step)),
        h("td.keep", {}, kernel ? kernel.class : step.kind),
        h("td.mono", {}, made), timeCells(step),
        h("td", {title: names.join("\n")}, sourceLinks(step.sources.slice(0, 2), 44),
          names.length > 2 ? h("span.dim", {}, " and " + (names.length - 2) + " more") : null));
    return [[stepTitle(step), kernel ? kernel.name + " " + kernel.class : step.kind, made,
             ...names].join(" "), row];
}

function profileNote() {
    if (!data.profile) return null;
    return h("p.dim", {}, `The profile has ${data.runs} runs; a time is the mean of all calls of ` +
                          "a step's kernel, and steps may share one.");
}

function viewSteps() {
    const titles = ["step", "kernel", "class", "makes",
                    ...(data.profile ? ["time", "part"] : []), "nodes of the model"];
    const head = h("tr", {}, titles.map((title) =>
        h(title === "step" || title === "time" ? "th.number" : "th", {}, title)));
    return [h("h2", {}, "Steps and kernels"),
            h("p", {}, plural(data.steps.length, "step") + " in the order in which they run, of " +
                       plural(data.kernels.length, "kernel") + ": equal kernels are one."),
            profileNote(),
            filtered("part of a kernel, class, type or node", data.steps.map(stepRow),
                     (rows) => h("table", {}, head, rows))];
}

function bufferLinks(numbers) {
    return numbers.map((b) => h("p", {}, link("buffer/" + b, "%" + b), " ",
                                h("span.mono", {}, data.buffers[b].type), " ",
                                data.buffers[b].place, " ",
                                h("span.dim", {}, data.buffers[b].name)));
}

function viewStep(n) {
    const step = data.steps[n], seconds = stepTime(step), last = data.stages.length - 1;
    return [
        h("h2", {}, "Step " + n + ": " + stepTitle(step)),
        step.kind === "launch" ? h("p", {}, "launches ", kernelLink(step.kernel)) : null,
        step.count && step.kind === "launch"
            ? h("p.dim", {}, "over ", h("code", {}, step.count), " parallel iterations") : null,
        seconds === undefined ? null : h("p", {}, time(seconds) + " a call, " +
                                         (stepShare(step) * 100).toFixed(1) + " % of a run"),
        h("p", {}, link("pass/" + last + "/graph/" + n, "Show it in the graph")),
        h("h3", {}, "From these nodes of the model"),
        h("p", {}, step.sources.length ? sourceLinks(step.sources) : "none"),
        h("h3", {}, "Reads"), bufferLinks(step.reads), h("h3", {}, "Writes"),
        bufferLinks(step.writes),
    ];
}

/* --- kernels ------------------------------------------------------------------------------ */

/* The first line ends in the schedule and the nodes of the model, which have tabs of their own. */
function kernelLines(kernel) {
    const lines = kernel.text.replace(/\n$/, "").split("\n");
    if (!namesShown)
        lines[0] = lines[0].replace(/ schedule "(?:[^"\\]|\\.)*"/, "").replace(/ @ .*(?= \{$)/, "");
    return lines;
}

function kernelUses(number) {
    return data.steps.map((step, n) => [step, n])
        .filter(([step]) => step.kind === "launch" && step.kernel === number);
}

function showSchedule(kernel) {
    if (!kernel.schedule)
        return h("p.dim", {}, "No schedule: the loops are as they were lowered.");
    const lines = kernel.schedule.split(";").map((line) => line.trim()).filter(Boolean);
    return h("div.text.code", {}, lines.map((line) => h("div", {}, line)));
}

function showGenerated(text) {
    if (text !== null) return showCode(text);
    return h("p", {}, "Left out, so that the page stays small: `lathe-dump --llvm` and `--asm` " +
                      "with `--node NAME` show it.");
}

function showUses(number) {
    const uses = kernelUses(number), kernel = data.kernels[number];
    const names = [...new Set([...kernel.sources, ...uses.flatMap(([step]) => step.sources)])];
    return [h("h3", {}, "Launched by"),
            uses.map(([step, n]) => h("p", {}, link("step/" + n, "step " + n), " ",
                                      stepTitle(step))),
            h("h3", {}, "From these nodes of the model"),
            names.length ? names.map((name) => h("p", {}, sourceLinks([name])))
                         : h("p.dim", {}, "None has a name.")];
}

function viewKernel(number, tab) {
    const kernel = data.kernels[number], row = times.get(kernel.name);
    const uses = kernelUses(number).length, at = "kernel/" + number + "/";
    tab = tab || "ir";
    const bodies = {
        ir: () => [h("div.tools", {}, nameSwitch()), showText(kernelLines(kernel))],
        schedule: () => showSchedule(kernel), asm: () => showGenerated(kernel.asm),
        llvm: () => showGenerated(kernel.llvm), nodes: () => showUses(number),
    };
    return [
        h("h2", {}, kernel.name),
        h("p.dim", {}, [kernel.class, "launched by " + plural(uses, "step"),
                        row && time(row.us / row.calls * 1e-6) + " a call",
                        row && (row.us / allTime * 100).toFixed(1) + " % of the time"]
            .filter(Boolean).join(" \u00b7 ")),
        tabs([[at + "ir", "Kernel IR"], [at + "schedule", "Schedule"], [at + "asm", "Assembly"],
              [at + "llvm", "LLVM IR"], [at + "nodes", "Steps and nodes"]], at + tab),
        (bodies[tab] || bodies.ir)(),
    ];
}

/* --- memory ------------------------------------------------------------------------------- */

function inArena() {
    return data.buffers.map((buffer, b) => ({...buffer, b}))
        .filter((buffer) => buffer.offset !== undefined);
}

function liveBytes(buffers) {
    return data.steps.map((step, n) => buffers.reduce((sum, buffer) =>
        sum + (buffer.first <= n && n <= buffer.last ? buffer.bytes : 0), 0));
}

function drawAxes(width, height, left, steps) {
    const lines = [];
    for (let part = 0; part <= 4; part++) {
        const y = height - height * part / 4;
        lines.push(s("line.axis", {x1: left, x2: left + width, y1: y, y2: y}),
                   s("text.small", {x: left - 6, y: y + 4, "text-anchor": "end"},
                     bytes(data.arena * part / 4)));
    }
    const every = Math.max(1, Math.ceil(steps / 12));
    for (let n = 0; n < steps; n += every)
        lines.push(s("text.small", {x: left + width * (n + 0.5) / steps, y: height + 16,
                                    "text-anchor": "middle"}, n));
    lines.push(s("text.small", {x: left + width, y: height + 32, "text-anchor": "end"}, "step"));
    return lines;
}

function drawMemory(buffers) {
    const width = 1000, height = 380, left = 70, steps = data.steps.length;
    const x = (step) => left + width * step / steps, y = (at) => height - height * at / data.arena;
    const color = (n) => `hsl(${(n * 137.5) % 360} 45% 60% / .8)`;
    let bound = "";
    liveBytes(buffers).forEach((sum, n) => {
        bound += (n ? "L" : "M") + x(n).toFixed(1) + " " + y(sum).toFixed(1) +
                 "H" + x(n + 1).toFixed(1);
    });
    return s("svg", {viewBox: `0 -8 ${left + width + 10} ${height + 48}`, width: left + width + 10,
                     height: height + 48,
                     style: "max-width:100%"},
             drawAxes(width, height, left, steps),
             buffers.map((buffer, n) => s("rect.buffer.node", {
                 x: x(buffer.first), y: y(buffer.offset + buffer.bytes), fill: color(n),
                 width: x(buffer.last + 1) - x(buffer.first),
                 height: y(buffer.offset) - y(buffer.offset + buffer.bytes),
                 onclick: () => { location.hash = "buffer/" + buffer.b; }},
                 s("title", {}, [`%${buffer.b} ${buffer.name}`, buffer.type, bytes(buffer.bytes),
                                 `steps ${buffer.first} to ${buffer.last}`].join("\n")))),
             s("path.bound", {d: bound}));
}

function memoryRow(buffer) {
    return [`%${buffer.b} ${buffer.name} ${buffer.type}`,
            h("tr", {}, h("td.keep", {}, link("buffer/" + buffer.b, "%" + buffer.b)),
              h("td", {}, buffer.name), h("td.mono", {}, buffer.type),
              h("td.number", {}, bytes(buffer.bytes)), h("td.number", {}, buffer.offset),
              h("td.keep", {}, buffer.first + " to " + buffer.last))];
}

function viewMemory() {
    const buffers = inArena(), sum = buffers.reduce((total, buffer) => total + buffer.bytes, 0);
    if (data.arena === undefined)
        return [h("h2", {}, "Memory"), h("p", {}, "Nothing is planned where the passes ended.")];
    const sizes = `The arena has ${bytes(data.arena)}; a perfect plan would need ` +
        `${bytes(data.lower_bound)}. Its ${plural(buffers.length, "buffer")} have ${bytes(sum)} ` +
        `in all. Weights have ${bytes(data.weights)}.`;
    const head = h("tr", {}, ["buffer", "name", "type", "size", "offset", "steps"].map((title) =>
        h(title === "size" || title === "offset" ? "th.number" : "th", {}, title)));
    return [
        h("h2", {}, "Memory"),
        h("p", {}, sizes, data.at_least ? " All dims are at their least." : ""),
        data.arena ? [h("p.dim", {}, "A buffer is a box: from its first step to its last, and at " +
                                     "its place in the arena. The line is the sum of what lives."),
                      h("div.picture", {}, drawMemory(buffers))] : null,
        filtered("part of a name or a type",
                 buffers.sort((a, b) => b.bytes - a.bytes || a.b - b.b).map(memoryRow),
                 (rows) => h("table", {}, head, rows)),
    ];
}

function viewBuffer(b) {
    const buffer = data.buffers[b];
    const touching = (side) => data.steps.map((step, n) => [step, n])
        .filter(([step]) => step[side].includes(b))
        .map(([step, n]) => h("p", {}, link("step/" + n, "step " + n), " ", stepTitle(step)));
    return [h("h2", {}, "Buffer %" + b + (buffer.name ? " " + buffer.name : "")),
            h("p", {}, h("span.mono", {}, buffer.type), " \u00b7 ", buffer.place,
              buffer.bytes === undefined ? "" : " \u00b7 " + bytes(buffer.bytes),
              buffer.first === undefined ? "" : ` \u00b7 at ${buffer.offset}, alive from step ` +
                                                `${buffer.first} to ${buffer.last}`),
            h("h3", {}, "Written by"), touching("writes"), h("h3", {}, "Read by"),
            touching("reads")];
}
