"""Puts a trained pipeline and its autoencoder together as the folder that ships with the engine.

python -m training.pocket.export --pipeline RUN/pipeline --vae VAE --cache CACHE --out FOLDER
"""

# torch and diffusers leave these calls untyped.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import argparse
import json
from pathlib import Path

from diffusers import AutoencoderTiny

from safelight.catalogue import digest_of

from . import data, model
from .labels import STYLES

LIMIT_BYTES = 90_000_000


def card(
    steps: int, guidance: float, size_px: int, sources: list[dict[str, str]]
) -> dict[str, object]:
    """What the engine needs to know to offer the model."""
    return {
        "name": "pocket",
        "family": "sd1",
        "native_size_px": size_px,
        "licence": "Apache-2.0",
        "commercial": True,
        "default_steps": steps,
        "default_guidance": guidance,
        "data": sources,
    }


def read_sources(modules: Path) -> list[dict[str, str]]:
    """Package, version, licence and style word of every set, as the installed packages say."""
    words = {package: style for style, package in STYLES.items()} | {data.LABEL_PACKAGE: "labels"}
    found = []
    for package, word in words.items():
        manifest = json.loads((modules / package / "package.json").read_text())
        entry = {"package": package, "version": manifest["version"], "used_for": word}
        found.append({**entry, "licence": manifest.get("license", "MIT")})
    return found


def tidy(folder: Path) -> None:
    """Takes out of the configs what only makes diffusers warn or says where the files came from."""
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        if not isinstance(content, dict) or not {"_class_name", "model_type"} & set(content):
            continue
        content.pop("_name_or_path", None)
        if content.get("_class_name") == "AutoencoderTiny":
            content.pop("block_out_channels", None)
        path.write_text(json.dumps(content, indent=2) + "\n")


def licence_text(modules: Path) -> str:
    """The notice that ships beside the weights: our licence and those of the training pictures."""
    parts = [
        "The weights in this folder are licensed under the Apache License, Version 2.0",
        "(https://www.apache.org/licenses/LICENSE-2.0).",
        "",
        "They were trained on pictures and words from these packages:",
        "",
    ]
    parts += [
        f"- {source['package']} {source['version']} ({source['used_for']}): {source['licence']}"
        for source in read_sources(modules)
    ]
    parts += ["", "Fluent Emoji", "", _MIT.format(holder="Microsoft Corporation.")]
    parts += ["", "emojibase-data", "", _MIT.format(holder="2017-2019 Miles Johnson")]
    parts += ["", "Noto Emoji", "", _NOTO]
    return "\n".join(parts)


def main() -> None:
    """Writes the folder: fp16 weights, configs, `card.json` and `LICENSE`; stops over 90 MB."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--vae", type=Path, help="autoencoder folder; default: the pipeline's own")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=4.0)
    options = parser.parse_args()
    modules = data.fetch(options.cache)
    pipeline = model.load(options.pipeline)
    if options.vae is not None:
        vae = AutoencoderTiny.from_pretrained(str(options.vae))
        pipeline = model.assemble(vae, pipeline.text_encoder, pipeline.tokenizer, pipeline.unet)
    model.save(pipeline, options.out)
    tidy(options.out)
    described = card(
        options.steps, options.guidance, model.picture_size_px(pipeline), read_sources(modules)
    )
    # The catalogue compares this with the files before they are first loaded.
    described["digest"] = digest_of(options.out)
    (options.out / "card.json").write_text(json.dumps(described, indent=2) + "\n")
    (options.out / "LICENSE").write_text(licence_text(modules))
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    if size > LIMIT_BYTES:
        raise SystemExit(f"the folder has {size} bytes, more than {LIMIT_BYTES}")
    print(f"{options.out}: {size / 1e6:.1f} MB")


_MIT = """MIT License

Copyright (c) {holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_NOTO = """Copyright Google Inc. Licensed under the Apache License, Version 2.0; you may not use
these files except in compliance with the License, at https://www.apache.org/licenses/LICENSE-2.0.
Distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied. Iconify's packages of these sets carry the same licences as the sets.
"""


if __name__ == "__main__":
    main()
