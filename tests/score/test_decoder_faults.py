import pytest

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.score.decoder_faults import describe_error, refuse_device_fault


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UtteranceError("u1", "text", "it is\nempty"), "text: it is empty"),
        (ValueError("too\tlong"), "too long"),
        (ValueError(), "ValueError"),
        (MemoryError(), "out of memory: "),
        (
            RuntimeError("CUDA out of memory. Tried to"),
            "out of memory: CUDA out of memory. Tried to",
        ),
    ],
)
def test_describe_error_fits_on_a_line_without_the_id(error, said):
    assert describe_error(error) == said


def test_refuse_device_fault_raises_only_for_what_breaks_the_gpu():
    refuse_device_fault(ValueError("too long"))
    refuse_device_fault(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
    with pytest.raises(RuntimeError, match="the GPU failed: CUDA error: unspecified"):
        refuse_device_fault(RuntimeError("CUDA error: unspecified launch failure"))
