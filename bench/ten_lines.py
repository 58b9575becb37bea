"""What a person writes to draw one picture with diffusers: ten statements."""

import sys

import torch
from diffusers import StableDiffusionPipeline

folder, prompt, side, steps, guidance, seed, target = sys.argv[1:]
pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
noise = torch.Generator("cpu").manual_seed(int(seed))
size = {"width": int(side), "height": int(side)}
how = {"num_inference_steps": int(steps), "guidance_scale": float(guidance)}
image = pipe(prompt, generator=noise, **size, **how).images[0]
image.save(target)
