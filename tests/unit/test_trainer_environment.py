"""Variables of the worker's environment that are passed to a trainer."""

import pytest

from worker.attempt.trainer_environment import NO_STORED_TOKEN, trainer_environment

SECRETS = [
    *("DATABASE_URL", "REDIS_URL", "ARTIFACTS_URL", "PGPASSWORD", "POSTGRES_PASSWORD"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "GITHUB_TOKEN", "OPENAI_API_KEY"),
    *(
        "DUET_API_KEY",
        "DUET_SECRETS_KEY",
        "DUET_URL",
        "DUET_LOCAL_ROOTS",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ),
    *("VLLM_API_KEY", "NVIDIA_API_KEY", "CUDA_PASSWORD", "KUBERNETES_SERVICE_HOST"),
    *("SSH_AUTH_SOCK", "GOOGLE_APPLICATION_CREDENTIALS", "WANDB_API_KEY", "SOMETHING_NEW"),
]
NEEDED = [
    *("PATH", "HOME", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NCCL_DEBUG", "VLLM_CPU_KVCACHE_SPACE"),
    *("OMP_NUM_THREADS", "TORCH_COMPILE_DISABLE", "TORCHINDUCTOR_CACHE_DIR", "MKL_NUM_THREADS"),
    *("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "no_proxy"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TOKENIZERS_PARALLELISM"),
]


def test_only_needed_variables_are_passed_to_a_trainer():
    given = {name: f"value of {name}" for name in (*SECRETS, *NEEDED)}
    told = trainer_environment(given, named=[])
    assert told == {**{name: given[name] for name in NEEDED}, **NO_STORED_TOKEN}


@pytest.mark.parametrize("name", SECRETS)
def test_the_operator_can_pass_a_variable_on(name: str):
    told = trainer_environment({name: "x", "PATH": "/bin", "OTHER_TOKEN": "y"}, named=[name])
    assert told[name] == "x"
    assert "OTHER_TOKEN" not in told


def test_the_token_that_the_hubs_client_keeps_is_used_only_where_the_operator_names_one():
    assert trainer_environment({"HF_TOKEN": "x"}, named=[]) == NO_STORED_TOKEN
    assert trainer_environment({"HF_TOKEN": "x"}, named=["HF_TOKEN"]) == {"HF_TOKEN": "x"}
