"""What the machine at hand does best."""

import os
from functools import cache
from typing import Any


def cores() -> int:
    """Cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def native_precision(accelerator: str) -> str:
    """Lightning's precision for an accelerator: bf16-mixed where the hardware computes in bfloat16, else 32-true.

    A CPU does with AMX or AVX512-BF16, a CUDA GPU from Ampere (8.0) on. Elsewhere bf16 is emulated: on a CPU
    without it a small CNN trained at 582 images/s in bf16, at 986 in fp32.
    """
    import torch

    cuda = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    if cuda:
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    if accelerator in ("gpu", "mps") or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    return "bf16-mixed" if _cpu_has_bf16(torch.cpu) else "32-true"


def _cpu_has_bf16(cpu: Any) -> bool:
    if hasattr(cpu, "get_capabilities"):  # newer torch
        found = cpu.get_capabilities()
        return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(cpu, name)() for name in checks if hasattr(cpu, name))


def hardware() -> dict[str, str | int]:
    """Processor, accelerator, cores and threads, for provenance."""
    import platform

    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _cpu_name() or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        **({"gpu": gpu, "gpus": torch.cuda.device_count()} if gpu else {}),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return ""
