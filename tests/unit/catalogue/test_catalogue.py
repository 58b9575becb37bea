"""The catalogue: what is taken in, what is refused and why, digests, and tampering."""

from __future__ import annotations

import json
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from safelight.catalogue import Catalogue, digest_of, inspect
from safelight.catalogue.catalogue import POCKET_FOLDER
from safelight.errors import (
    ConflictError,
    ModelFormatError,
    NoConnectionError,
    RequestError,
    TamperedModelError,
    UnknownModelError,
)
from safelight.ids import sha256_hex

UNET = "model.diffusion_model."
SD1_KEYS = {
    f"{UNET}input_blocks.0.0.weight": [8, 4, 3, 3],
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [8, 768],
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [2, 768],
}
ATTENTION = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


def write(path: Path, shapes: dict[str, list[int]]) -> Path:
    """A .safetensors file of zeros with these names and shapes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


def folder(path: Path, class_name: str, **configs: dict[str, object]) -> Path:
    path.mkdir(parents=True)
    (path / "model_index.json").write_text(json.dumps({"_class_name": class_name}))
    write(path / "unet/diffusion_pytorch_model.safetensors", {"w": [4]})
    for part in ("text_encoder", *configs):
        (path / part).mkdir(exist_ok=True)
        config = configs.get(part, {"hidden_size": 768})
        (path / part / "config.json").write_text(json.dumps(config))
    return path


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "home")


# --- what is found ---


@pytest.mark.parametrize(
    ("class_name", "family"),
    [
        ("StableDiffusionPipeline", "sd1"),
        ("StableDiffusionInpaintPipeline", "sd1"),
        ("StableDiffusionXLPipeline", "sdxl"),
        ("StableDiffusionXLImg2ImgPipeline", "sdxl"),
        ("StableDiffusion3Pipeline", "sd3"),
        ("FluxPipeline", "flux"),
        ("ZImagePipeline", "z-image"),
        ("QwenImagePipeline", "qwen-image"),
    ],
)
def test_a_folders_family_is_its_pipelines_class(
    class_name: str, family: str, tmp_path: Path
) -> None:
    found = inspect(folder(tmp_path / "m", class_name))
    assert (found.family, found.kind, found.form) == (family, "model", "folder")


def test_a_folder_says_its_own_sizes(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "m",
        "StableDiffusionPipeline",
        unet={"sample_size": 16},
        vae={"decoder_block_out_channels": [8, 8, 8, 8, 8]},
    )
    found = inspect(path)
    assert (found.native_size_px, found.side_step_px) == (256, 16)


def test_stable_diffusion_2_is_told_by_its_text_encoder(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", "StableDiffusionPipeline", text_encoder={"hidden_size": 1024})
    assert inspect(path).family == "sd2"


def test_single_files_are_told_by_their_tensors(tmp_path: Path) -> None:
    assert inspect(write(tmp_path / "a.safetensors", SD1_KEYS)).family == "sd1"
    xl = SD1_KEYS | {"conditioner.embedders.1.model.ln_final.weight": [4]}
    assert inspect(write(tmp_path / "b.safetensors", xl)).family == "sdxl"
    for name, keys in {
        "sd2": {
            f"{UNET}input_blocks.0.0.weight": [8, 4, 3, 3],
            f"{UNET}x.attn2.to_k.weight": [8, 1024],
        },
        "sd3": {f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": [4, 4]},
        "flux": {"double_blocks.0.img_attn.qkv.weight": [4, 4]},
    }.items():
        with pytest.raises(ModelFormatError, match=name):  # known, but needs its folder
            inspect(write(tmp_path / f"{name}.safetensors", keys))


@pytest.mark.parametrize(
    ("keys", "family"),
    [
        ({f"{ATTENTION}.lora_down.weight": [4, 768], f"{ATTENTION}.alpha": []}, "sd1"),
        ({f"{ATTENTION}.lora_down.weight": [4, 1024]}, "sd2"),
        ({f"{ATTENTION}.lora_down.weight": [4, 2048]}, "sdxl"),
        ({"unet.down_blocks.0.attentions.0.attn2.to_k.lora_A.weight": [4, 768]}, "sd1"),
        ({"unet.down_blocks.0.attentions.0.attn2.to_k.lora_A.weight": [4, 2048]}, "sdxl"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": [4, 1280]}, "sdxl"),
        ({"transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": [4, 3072]}, "flux"),
        ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": [4, 3072]}, "flux"),
        ({"transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": [4, 1536]}, "sd3"),
        (
            {
                "transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": [4, 3072],
                "transformer.transformer_blocks.0.img_mlp.net.2.lora_A.weight": [4, 3072],
            },
            "qwen-image",
        ),
        ({"diffusion_model.layers.0.attention.to_q.lora_A.weight": [4, 3840]}, "z-image"),
    ],
)
def test_adapters_are_told_from_models_and_by_family(
    keys: dict[str, list[int]], family: str, tmp_path: Path
) -> None:
    found = inspect(write(tmp_path / "lora.safetensors", keys))
    assert (found.kind, found.family) == ("adapter", family)


# --- what is refused ---


@pytest.mark.parametrize("suffix", ["ckpt", "pt", "bin", "pth", "pkl", "CKPT"])
def test_pickles_are_refused_and_the_cure_is_named(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"model.{suffix}"
    file.write_bytes(b"\x80\x04anything")
    with pytest.raises(ModelFormatError, match="pickle") as caught:
        inspect(file)
    assert ".safetensors" in caught.value.hint
    assert file.name not in str(caught.value)


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", "StableDiffusionPipeline")
    weights = path / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelFormatError, match="pickle"):
        inspect(path)


def test_a_pickle_in_other_clothes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(ModelFormatError):
        inspect(file)


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_truncated_files_are_refused(keep: int, tmp_path: Path) -> None:
    file = write(tmp_path / "model.safetensors", SD1_KEYS)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelFormatError):
        inspect(file)


@pytest.mark.parametrize(
    "header",
    [b"{}", b"[]", b"nonsense", b'{"a": 1}', b'{"a": {"shape": [1], "data_offsets": [0]}}'],
)
def test_broken_headers_are_refused(header: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelFormatError):
        inspect(file)


def test_other_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    strange = folder(tmp_path / "strange", "TextToVideoPipeline")
    for path in (tmp_path / "missing", tmp_path / "empty", tmp_path / "notes.txt", strange):
        with pytest.raises(ModelFormatError):
            inspect(path)
    with pytest.raises(ModelFormatError, match="family"):
        inspect(write(tmp_path / "other.safetensors", {"some.weight": [4]}))


# --- the list ---


def test_entries_are_added_found_and_removed(catalogue: Catalogue, tmp_path: Path) -> None:
    file = write(tmp_path / "cat.safetensors", SD1_KEYS)
    added = catalogue.add(file, licence="CreativeML Open RAIL-M")
    assert added.name == "cat"
    assert added.digest == sha256_hex(file.read_bytes()) == digest_of(file)
    assert added.size_bytes == file.stat().st_size
    other = Catalogue(tmp_path / "home")  # another process sees the same
    assert other.find("cat") == other.find(added.digest) == other.find(added.digest[:12]) == added
    with pytest.raises(ConflictError):
        catalogue.add(file)
    again = catalogue.add(file, "second name")
    assert again.digest == added.digest
    catalogue.remove("cat")
    assert [m.name for m in catalogue.models()] == ["pocket", "second name"]
    assert file.exists()
    with pytest.raises(UnknownModelError):
        catalogue.find("cat")
    for name in ("", "cat.safetensors", added.digest[:4]):
        with pytest.raises(UnknownModelError):
            catalogue.find(name)


def test_changes_at_once_lose_no_entry(tmp_path: Path) -> None:
    files = [write(tmp_path / f"model-{n}.safetensors", SD1_KEYS) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: Catalogue(tmp_path / "home").add(file), files))
    reader = Catalogue(tmp_path / "home")
    assert {m.name for m in reader.models()} == {"pocket", *(file.stem for file in files)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: Catalogue(tmp_path / "home").remove(file.stem), files[1:]))
    assert [m.name for m in reader.models()] == ["pocket", "model-0"]


def test_a_copy_of_pocket_can_be_taken_out_again(catalogue: Catalogue, tmp_path: Path) -> None:
    shutil.copytree(POCKET_FOLDER, tmp_path / "copy")
    copy = catalogue.add(tmp_path / "copy")
    assert copy.digest == catalogue.models()[0].digest
    catalogue.remove("copy")
    assert [m.name for m in catalogue.models()] == ["pocket"]


def test_pocket_is_first_and_stays(catalogue: Catalogue) -> None:
    pocket = catalogue.models()[0]
    assert (pocket.name, pocket.kind, pocket.family) == ("pocket", "model", "sd1")
    assert pocket.native_size_px >= 128
    assert pocket.commercial is True
    catalogue.verify(pocket)
    with pytest.raises(RequestError, match="bundled"):
        catalogue.remove("pocket")


def test_the_list_is_replaced_whole(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.add(write(tmp_path / "cat.safetensors", SD1_KEYS))
    models = tmp_path / "home/models"
    assert [f.name for f in models.iterdir()] == ["catalogue.json"]
    (models / "catalogue.json").write_text("{broken")
    with pytest.raises(ModelFormatError, match="catalogue"):
        catalogue.models()


# --- tampering ---


def test_a_changed_file_is_noticed(catalogue: Catalogue, tmp_path: Path) -> None:
    file = write(tmp_path / "cat.safetensors", SD1_KEYS)
    model = catalogue.add(file)
    catalogue.verify(model)
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    for checker in (catalogue, Catalogue(tmp_path / "home")):
        with pytest.raises(TamperedModelError):
            checker.verify(model)
    file.unlink()
    with pytest.raises(TamperedModelError):
        catalogue.verify(model)


@pytest.mark.parametrize("change", ["weights", "config", "added", "removed"])
def test_a_changed_folder_is_noticed(change: str, catalogue: Catalogue, tmp_path: Path) -> None:
    path = folder(tmp_path / "m", "StableDiffusionPipeline")
    model = catalogue.add(path)
    catalogue.verify(model)
    config = path / "text_encoder/config.json"
    if change == "weights":
        write(path / "unet/diffusion_pytorch_model.safetensors", {"w": [5]})
    elif change == "config":
        config.write_text(json.dumps({"hidden_size": 769}))
    elif change == "added":
        (path / "unet/config.json").write_text("{}")
    else:
        config.write_text(json.dumps({"hidden_size": 768}) + " ")
    with pytest.raises(TamperedModelError):
        catalogue.verify(model)


def test_a_folders_digest_does_not_depend_on_where_it_is(tmp_path: Path) -> None:
    first = folder(tmp_path / "a" / "m", "StableDiffusionPipeline")
    second = folder(tmp_path / "b" / "other", "StableDiffusionPipeline")
    assert digest_of(first) == digest_of(second)


# --- pulling ---


def test_nothing_is_pulled_offline(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, socket_disabled: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NoConnectionError, match="HF_HUB_OFFLINE"):
        catalogue.pull("someone/some-model")
    assert not (tmp_path / "home").exists()


def test_listing_imports_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from safelight.catalogue import Catalogue\n"
        "Catalogue(Path('/nowhere')).models()\n"
        "print({'torch', 'diffusers', 'transformers', 'huggingface_hub', 'safetensors'}"
        " & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.strip() == b"set()"


def test_adding_and_checking_say_how_much_is_hashed(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    file = write(tmp_path / "large.safetensors", SD1_KEYS | {"more": [3, 512, 1024]})
    size = file.stat().st_size
    added = Catalogue(tmp_path / "home", lambda *how_far: heard.append(how_far)).add(file)
    assert [total for _, total in heard] == [size] * len(heard)
    done = [done for done, _ in heard]
    assert done == sorted(set(done))
    assert len(done) > 1
    assert done[-1] == size
    heard.clear()
    Catalogue(tmp_path / "home", lambda *how_far: heard.append(how_far)).verify(added)
    assert heard[-1] == (size, size)
