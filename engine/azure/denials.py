"""Refusals of sign-in (401, 403) by their cause: the service's own reason, and the hint that fits it."""

from __future__ import annotations

import re

from engine.errors import SignInError

ROLE = "Cognitive Services OpenAI Contributor"
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"firewall|virtual network|network rules?|private endpoint|public (network )?access|ip address",
        "Allow this machine's address on the resource's Networking page, or connect through its network (VPN).",
    ),
    (
        r"key.?based auth|disablelocalauth|local auth\w* (is )?disabled|api ?keys? (is|are|has been) disabled"
        r"|authenticationtypedisabled",
        "The resource takes no keys: unset AZURE_OPENAI_API_KEY and sign in with: az login",
    ),
    (
        r"missing, invalid, audience is incorrect",  # one sentence for three causes
        "Sign in again with: az login --tenant THE-RESOURCE'S-TENANT (the token has expired, or is for another cloud"
        " or tenant).",
    ),
    (
        r"tenant|issuer|invalidauthenticationtokentenant",
        "Sign in to the tenant that the resource belongs to: az login --tenant THE-RESOURCE'S-TENANT",
    ),
    (
        r"audience",
        "The token is for another cloud: compare AZURE_OPENAI_ENDPOINT and AZURE_ARM_ENDPOINT with the resource's.",
    ),
    (r"expired|expiredauthenticationtoken|lifetime validation", "Sign in again with: az login"),
    (
        r"permissiondenied|lacks|required data action|does not have authorization|authorizationfailed|\brole\b|\brbac\b"
        r"|insufficient (permissions?|privileges)|not authorized to perform",
        f"Request the role {ROLE} on the resource from its owner; a new role takes some minutes to hold.",
    ),
    (
        r"subscription is (disabled|not active|suspended)|readonlydisabledsubscription|subscriptionnotfound",
        "Let the subscription's owner activate it again.",
    ),
    (
        r"subscription key|api key|wrong api endpoint|invalid.{0,20}key",
        "Compare AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT with the portal (Keys and Endpoint): both must be of"
        " one resource. Or unset the key and sign in with: az login",
    ),
)
_HINTS = [(re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in _CAUSES]
OTHERWISE = {
    401: "Set AZURE_OPENAI_API_KEY to the resource's key, or unset it and sign in with: az login",
    403: f"Check the resource's Networking page, and that your account has the role {ROLE}.",
}


def denied(place: str, status: int, code: str, reason: str) -> SignInError:
    """Return the error for a 401 or a 403.

    Args:
        place: the endpoint.
        status: 401 or 403.
        code: the service's own, as it spells it.
        reason: the service's own, one line.

    """
    named = f"{code} " if code and code != str(status) else ""
    told = f": {named}{reason}" if reason else f" {named}".rstrip()
    return SignInError(f"{place}: sign-in refused ({status}){told}", hint_of(status, f"{code} {reason}"), status=status)


def hint_of(status: int, reason: str) -> str:
    """Return the hint for a reason."""
    return next((hint for pattern, hint in _HINTS if pattern.search(reason)), OTHERWISE[403 if status == 403 else 401])
