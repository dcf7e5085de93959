"""Lists Azurite's containers over HTTPS without a token, with one that has run out and with a good one; prints the statuses.

Usage: bearer.py ACCOUNT_URL CA_FILE
"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request


def token(until):
    """Azurite looks at the claims, never at the signature."""
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
        "nbf": int(time.time()) - 7200,
        "iat": int(time.time()) - 7200,
        "exp": int(until),
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)] + [b"signature"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def status(url, context, bearer):
    headers = {"x-ms-version": "2021-12-02", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    try:
        request = urllib.request.Request(f"{url}?comp=list", headers=headers)
        return urllib.request.urlopen(request, context=context, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def main():
    url, ca = sys.argv[1:3]
    context = ssl.create_default_context(cafile=ca)
    bearers = [None, token(time.time() - 3600), token(time.time() + 3600)]
    print(*(status(url, context, bearer) for bearer in bearers))


main()
