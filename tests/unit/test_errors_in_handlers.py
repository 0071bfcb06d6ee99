"""A call that is made while another error is handled fails with its own error."""

import httpx2
import openai
import pytest

from engine.azure.errors import translated
from engine.errors import ConfigurationError, ServiceError

PLACE = "https://x.openai.azure.com"


def refused():
    request = httpx2.Request("POST", PLACE)
    body = {"error": {"code": "OperationNotSupported", "message": "Not with a batch deployment."}}
    raise openai.BadRequestError("400", response=httpx2.Response(400, request=request), body=body)


def test_the_error_that_is_handled_is_not_the_one_of_the_call():
    try:
        raise ConfigurationError("There is no deployment 'a'.")
    except ConfigurationError:
        with pytest.raises(ServiceError, match="OperationNotSupported") as found, translated(PLACE):
            refused()
    assert found.value.status == 400


def test_an_error_of_ours_within_the_call_is_passed_on():
    with pytest.raises(ConfigurationError, match="no certificate"), translated(PLACE):
        try:
            raise ConfigurationError("There is no certificate file.")
        except ConfigurationError as ours:
            raise openai.APIConnectionError(request=httpx2.Request("GET", PLACE)) from ours
