"""The accelerator: which one, how much of its memory is free, and what its errors mean.

Out of memory is a normal event that `batches.py` answers with a smaller batch. Any other error of the accelerator leaves a dead
context: every later call in the process fails too, so the process must end (`worker.py` starts another).
"""

import gc

from khung.errors import ConfigError

OUT_OF_MEMORY = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "HIP out of memory",
    "HIP error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
)
"""What libraries say that raise a plain RuntimeError instead of torch.OutOfMemoryError."""

CONTEXT_LOST = (
    "CUDA error",
    "HIP error",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_MAPPING_ERROR",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_MAPPING_ERROR",
)
"""The same for a dead context. Other statuses of these libraries are ordinary mistakes of a call."""

MOST_PER_STEP = 0.85
"""Share of the free memory that a batch may take: the rest is for fragmentation and the libraries' work space."""


def choose(device: str = "") -> str:
    """`device`, or the first accelerator, or "cpu"."""
    import torch

    if device:
        return device
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def check_dtype(device: str, dtype: str) -> None:
    """Raises ConfigError when the device has no such numbers: emulated ones would be slower than float32."""
    import torch

    if (
        device.startswith("cuda")
        and dtype == "bfloat16"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise ConfigError(
            f"{device} is older than Ampere and has no bfloat16.", cure="Set the model's DTYPE to float16 or float32."
        )


def out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def context_lost(error: BaseException) -> bool:
    """Whether the accelerator failed for good. Ask `out_of_memory` first: it shares the words."""
    import torch

    if out_of_memory(error):
        return False
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in CONTEXT_LOST)


def release() -> None:
    """Give cached memory back. Only after the failed call's traceback is gone: it holds the tensors."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class MemoryMeter:
    """What a step costs on one CUDA device, in bytes. On a CPU it measures nothing and nothing is limited by it."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._before = 0

    @property
    def measures(self) -> bool:
        return self._device.startswith("cuda")

    def start(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def used(self) -> int:
        """Bytes that the step held at its peak, beyond what was there before."""
        import torch

        return torch.cuda.max_memory_allocated(self._device) - self._before

    def free(self) -> int:
        """Bytes that a step can have: the device's, and those that torch keeps unused."""
        import torch

        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + unused
