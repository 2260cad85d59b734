"""The environment variables that a worker passes to its trainers.

Trainers work for every project: secrets that only the worker needs (the database's password, the
artifact store's keys, the operator's hub token) are withheld unless the operator names them.
"""

from collections.abc import Collection, Mapping

# Programs, libraries and temporary files; locale and time zone; access to the hub and its cache;
# GPUs.
NAMES = """
PATH HOME USER LOGNAME SHELL TMPDIR TEMP TMP VIRTUAL_ENV CONDA_PREFIX
LD_LIBRARY_PATH LD_PRELOAD CC CXX GLIBC_TUNABLES
PYTHONPATH PYTHONHOME PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX
PYTHONUTF8 PYTHONIOENCODING PYTHONHASHSEED PYTHONWARNINGS
LANG LANGUAGE TZ TERM COLUMNS NO_COLOR
HF_HOME HF_ENDPOINT HF_HUB_CACHE HF_HUB_OFFLINE HF_XET_CACHE HF_ASSETS_CACHE
HF_HUB_ETAG_TIMEOUT HF_HUB_DOWNLOAD_TIMEOUT HF_HUB_DISABLE_XET HF_HUB_DISABLE_TELEMETRY
TRANSFORMERS_OFFLINE TRANSFORMERS_CACHE TOKENIZERS_PARALLELISM DO_NOT_TRACK
HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES
"""
FAMILIES = """
LC_ XDG_ CUDA_ NCCL_ GLOO_ VLLM_ TORCH PYTORCH_ TRITON_ OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ NUMEXPR_
ONEDNN_ DNNL_ ATEN_ CUBLAS_ CUDNN_ HIP_ ROCR_ FLASHINFER_ MALLOC_
"""
SECRET_ENDINGS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_CREDENTIALS")
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")
NO_STORED_TOKEN = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
"""Without it, the hub's client would send the token of the worker's user."""


def trainer_environment(
    environment: Mapping[str, str], *, named: Collection[str]
) -> dict[str, str]:
    """Return a trainer's environment.  `named`: additional variables that the operator passes
    on."""
    kept = {name: value for name, value in environment.items() if name in named or _is_needed(name)}
    return kept if any(name in kept for name in HUB_TOKENS) else {**kept, **NO_STORED_TOKEN}


def _is_needed(name: str) -> bool:
    of_family = name.startswith(tuple(FAMILIES.split())) and not name.endswith(SECRET_ENDINGS)
    return of_family or name in NAMES.split()
