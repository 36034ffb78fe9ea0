#!/usr/bin/env python3
"""expected.py OUTDIR [MODEL...]

For each model OUTDIR/MODEL.onnx, runs onnxruntime (CPU, one thread) on fixed inputs and stores

    OUTDIR/cases/MODEL/CASE/in_NAME.npy, out_NAME.npy   ('/' in a name becomes '_')
    OUTDIR/cases/MODEL/CASE/case.txt                    lines `input NAME FILE`, `output NAME FILE`

case.txt is written last; a case that has one newer than its model is left alone. The models come
from setup.sh (REAL_MODELS) and make_models.py (the others, with their inputs in MODEL.npz).
"""
import os
import sys

import numpy as np
import onnxruntime

from make_models import MODELS

REAL_MODELS = ["magika", "rapidocr_det", "rapidocr_cls", "rapidocr_rec", "silero_vad",
               "silero_vad_op15", "basic_pitch", "minilm_int8"]

# ---- magika ----

# As magika 1.0.3's magika/magika.py does it (_extract_features_from_seekable, with standard_v3_3's
# config.min.json: beg_size 1024, mid_size 0, end_size 1024, block_size 4096, padding_token 256,
# min_file_size_for_dl 8). The model reads int32 [batch, 2048] for each file:
#   [0, 1024)     the file's first 4096 bytes (or fewer), lstrip()ped of ASCII white space, then the
#                 first 1024 of what is left, padded with 256 at the end;
#   [1024, 2048)  the file's last 4096 bytes (or fewer), rstrip()ped, then the last 1024 of what is
#                 left, padded with 256 at the beginning.
# The package doesn't ask the model about files that are under 8 bytes, before or after stripping.
BEG_SIZE = END_SIZE = 1024
BLOCK_SIZE = 4096
PADDING_TOKEN = 256
MIN_FILE_SIZE = 8


def magika_features(data):
    """The model's 2048 numbers for a file's bytes, or None if the model isn't meant for it."""
    if len(data) < MIN_FILE_SIZE:
        return None
    beg = list(data[:BLOCK_SIZE].lstrip()[:BEG_SIZE])
    end = list(data[-BLOCK_SIZE:].rstrip()[-END_SIZE:])
    if len(beg) < MIN_FILE_SIZE:
        return None
    beg = beg + [PADDING_TOKEN] * (BEG_SIZE - len(beg))
    end = [PADDING_TOKEN] * (END_SIZE - len(end)) + end
    return beg + end


def real_files():
    """Real files of this machine, of several kinds and sizes, always in the same order."""
    liked = ["/usr/include/stdio.h", "/usr/bin/env", "/usr/bin/ldd", "/usr/include/errno.h",
             "/usr/bin/ls", "/usr/include/ar.h", "/usr/bin/which.debianutils", "/etc/os-release"]
    others = [os.path.join(folder, name) for folder in ("/usr/include", "/usr/bin")
              if os.path.isdir(folder) for name in sorted(os.listdir(folder))]
    return [path for path in dict.fromkeys(liked + others) if os.path.isfile(path)]


def magika_cases():
    rows = []
    for path in real_files():
        with open(path, "rb") as file:
            features = magika_features(file.read())
        if features is not None:
            rows.append(features)
        if len(rows) == 11:
            break
    rows = np.array(rows, np.int32)
    for start, batch in ((0, 1), (1, 3), (4, 7)):
        yield f"batch{batch}", {"bytes": rows[start:start + batch]}


# ---- rapidocr ----

# Stroke letters on a grid 4 wide and 6 high: polylines of (x, y), y downwards.
GLYPHS = {
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.8, 4), (3.2, 4)]],
    "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3, 3)]],
    "H": [[(0, 0), (0, 6)], [(4, 0), (4, 6)], [(0, 3), (4, 3)]],
    "L": [[(0, 0), (0, 6), (4, 6)]],
    "M": [[(0, 6), (0, 0), (2, 4), (4, 0), (4, 6)]],
    "N": [[(0, 6), (0, 0), (4, 6), (4, 0)]],
    "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "2": [[(0, 1.5), (0.6, 0.4), (2, 0), (3.4, 0.4), (4, 1.6), (3.4, 2.8), (0, 6), (4, 6)]],
    "4": [[(3, 6), (3, 0), (0, 4), (4, 4)]],
    "7": [[(0, 0), (4, 0), (1.5, 6)]],
    " ": [],
}


def draw(image, text, x, y, size, color):
    """Draws text with anti-aliased strokes on a uint8 [H, W, 3] image; size is its height."""
    scale = size / 6
    radius = max(0.6, size * 0.07)
    rows, cols = np.mgrid[0:image.shape[0], 0:image.shape[1]]
    ink = np.zeros(image.shape[:2])
    for i, letter in enumerate(text):
        left = x + i * size
        for line in GLYPHS[letter]:
            for (ax, ay), (bx, by) in zip(line, line[1:]):
                ax, bx = left + ax * scale, left + bx * scale
                ay, by = y + ay * scale, y + by * scale
                dx, dy = bx - ax, by - ay
                t = ((cols - ax) * dx + (rows - ay) * dy) / (dx * dx + dy * dy)
                t = np.clip(t, 0, 1)
                distance = np.hypot(cols - ax - t * dx, rows - ay - t * dy)
                ink = np.maximum(ink, np.clip(radius + 0.5 - distance, 0, 1))
    image[:] = np.rint(image + (np.array(color) - image) * ink[..., None])


def page(height, width, lines, paper=(236, 240, 238), color=(28, 24, 40)):
    image = np.empty((height, width, 3), np.uint8)
    image[:] = paper
    for text, x, y, size in lines:
        draw(image, text, x, y, size, color)
    return image


def normalized(image):
    """(v / 255 - 0.5) / 0.5 as [3, H, W], as rapidocr does it for all three models."""
    return ((image.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5).astype(np.float32)


def batch_of(*images):
    return {"x": np.ascontiguousarray(np.stack([normalized(image) for image in images]))}


def text_line(text, width, size=32):
    """A line of text 48 high. What is right of the picture is padded with 0, as rapidocr does."""
    used = min(width, int(len(text) * size + 16))
    padded = np.zeros((3, 48, width), np.float32)
    padded[:, :, :used] = normalized(page(48, used, [(text, 8, (48 - size) // 2, size)]))
    return padded


def det_cases():
    # rapidocr resizes a picture so that both sides are multiples of 32, and always has a batch of 1
    small = page(64, 96, [("HAT", 10, 20, 24)])
    wide = page(96, 160, [("LATHE", 12, 14, 24), ("2744", 30, 58, 22)])
    dark = page(96, 160, [("TALE 72", 8, 36, 20)], paper=(70, 60, 50), color=(230, 235, 240))
    tall = page(160, 128, [("MAN", 16, 16, 28), ("NET", 16, 66, 28), ("72", 16, 116, 28)])
    yield "1x64x96", batch_of(small)
    yield "2x96x160", batch_of(wide, dark)
    yield "1x160x128", batch_of(tall)


def line_batch(width, *texts):
    return {"x": np.stack([text_line(text, width) for text in texts])}


def cls_cases():
    # rapidocr's shape is [batch <= 6, 3, 48, 192]; a text upside down is class 1
    upright = line_batch(192, "LATHE")
    flipped = np.ascontiguousarray(upright["x"][:, :, ::-1, :])
    flipped[:, :, :, :176] = flipped[:, :, :, 175::-1]
    yield "1x48x192", upright
    yield "4x48x192", {"x": np.concatenate([line_batch(192, "HAT", "MAN 2", "74")["x"], flipped])}
    yield "2x48x128", line_batch(128, "HAT", "NET")


def rec_cases():
    # rapidocr's shape is [batch <= 6, 3, 48, width >= 320]; the model takes smaller ones too
    yield "1x48x320", line_batch(320, "LATHE 2")
    yield "3x48x160", line_batch(160, "HAT", "2744", "MEAT")
    yield "2x48x484", line_batch(484, "THE LATHE 4272", "NAME TEAM")


# ---- silero-vad, basic-pitch ----

def tone(count, rate, seed):
    """A voice of sorts: a few gliding harmonics and noise."""
    time = np.arange(count) / rate
    noise = np.random.default_rng(seed).standard_normal(count)
    waves = sum(np.sin(2 * np.pi * (110 + 7 * seed) * k * time * (1 + 0.1 * time)) / k
                for k in range(1, 6))
    return (0.2 * waves + 0.02 * noise).astype(np.float32)


# A chunk is 32 ms with 4 ms of the one before; the branch that is taken depends on the rate.
def silero_cases(rates):
    for rate in rates:
        for batch in (1, 3):
            chunk = rate * 36 // 1000
            rng = np.random.default_rng(batch)
            yield f"rate{rate}_batch{batch}", {
                "input": np.stack([tone(chunk, rate, i) for i in range(batch)]),
                "state": 0.1 * rng.standard_normal((2, batch, 128)).astype(np.float32),
                "sr": np.array(rate, np.int64)}


def basic_pitch_cases():
    for batch in (1, 2):
        sound = np.stack([tone(43844, 22050, i) for i in range(batch)])
        yield f"batch{batch}", {"serving_default_input_2:0": sound[:, :, None]}


# ---- all ----

def npz_cases(outdir, name):
    with np.load(f"{outdir}/{name}.npz") as data:
        yield "default", dict(data)


# ---- minilm_int8 ----

def minilm_cases():
    """Sentences of any words, between [CLS] and [SEP], of several lengths: the rest is padding."""
    rng = np.random.default_rng(5)
    for batch, length in ((1, 6), (1, 33), (3, 17), (2, 128), (5, 1)):
        ids = rng.integers(1996, 30522, (batch, length))
        ends = np.append(length, rng.integers(1, length + 1, batch - 1))
        ids[:, 0] = 101
        ids[np.arange(batch), ends - 1] = 102
        mask = (np.arange(length) < ends[:, None]).astype(np.int64)
        kinds = (np.arange(length) * 2 >= ends[:, None]).astype(np.int64) * mask
        yield f"{batch}x{length}", {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": kinds}


def cases_of(outdir, name):
    own = {"magika": magika_cases, "rapidocr_det": det_cases, "rapidocr_cls": cls_cases,
           "rapidocr_rec": rec_cases, "basic_pitch": basic_pitch_cases,
           "minilm_int8": minilm_cases,
           "silero_vad": lambda: silero_cases((16000, 8000)),
           "silero_vad_op15": lambda: silero_cases((16000,))}
    return own[name]() if name in own else npz_cases(outdir, name)


def file_name(prefix, name):
    return prefix + name.replace("/", "_") + ".npy"


def fresh(model, case):
    text = f"{case}/case.txt"
    return os.path.exists(text) and os.path.getmtime(text) >= os.path.getmtime(model)


def write_case(session, folder, inputs):
    os.makedirs(folder, exist_ok=True)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs)))
    lines = []
    for kind, prefix, tensors in (("input", "in_", inputs), ("output", "out_", outputs)):
        for name, value in tensors.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"{kind} {name} is not finite")
            np.save(f"{folder}/{file_name(prefix, name)}", np.array(value, order="C"))
            lines.append(f"{kind} {name} {file_name(prefix, name)}\n")
    with open(f"{folder}/case.txt.tmp", "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.replace(f"{folder}/case.txt.tmp", f"{folder}/case.txt")
    return outputs


def summary(session, outputs):
    """What the answer means, where that can be said in a few words."""
    first = next(iter(outputs.values()))
    keys = session.get_modelmeta().custom_metadata_map.get("character")
    if keys is None:
        return " ".join(f"{name}{list(value.shape)}" for name, value in list(outputs.items())[:2])
    letters = [""] + keys.splitlines() + [" "]
    texts = []
    for row in first.argmax(axis=2):  # CTC: drop repeats, then blanks (class 0)
        texts.append("".join(letters[c] for i, c in enumerate(row) if i == 0 or c != row[i - 1]))
    return repr(texts)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    outdir = sys.argv[1]
    names = sys.argv[2:] or [*REAL_MODELS, *MODELS]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name in names:
        model = f"{outdir}/{name}.onnx"
        if not os.path.exists(model):
            print(f"expected.py: error: {model} is missing; run setup.sh and make_models.py",
                  file=sys.stderr)
            return 1
        session = None
        for case, inputs in cases_of(outdir, name):
            folder = f"{outdir}/cases/{name}/{case}"
            if fresh(model, folder):
                continue
            if session is None:
                session = onnxruntime.InferenceSession(
                    model, options, providers=["CPUExecutionProvider"])
            outputs = write_case(session, folder, inputs)
            print(f"{name:16s} {case:10s} {summary(session, outputs)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
