"""The design document's own routes (sections 4.3 and 4.4), as the platform was when it was written.

They are another way to the platform's endpoints: a request of the design is turned into the platform's before the
gateway looks at it, so access, limiter, breaker and service are the same. What differs behind is the dialect of lists
(infra/portal/http.py: pages from 0, called `content`), which the gateway tells the service by a header.
"""

import re
from urllib.parse import unquote

from starlette.types import Scope

_ROUTES = tuple(
    (method, re.compile(design), platform)
    for method, design, platform in (
        ("GET", r"/api/v1/products/search", "/api/v1/shopping/search/products"),
        ("GET", r"/api/v1/products(/[^/]+)?", "/api/v1/shopping/products{}"),
        ("POST", r"/api/v1/cart(/items|/checkout)", "/api/v1/shopping/cart{}"),
        ("POST", r"/api/v1/orders", "/api/v1/shopping/orders"),
        ("POST", r"/api/v1/coupons(/[^/]+/issue)", "/api/v1/shopping/coupons{}"),
        ("GET", r"/api/v1/posts(/[^/]+)?", "/api/v1/blog/posts{}"),
    )
)


def as_platform(scope: Scope) -> bool:
    """Turn a request of the design's into the platform's, in `scope`; False for any other, which stays as it is."""
    path = scope["raw_path"].decode("ascii")
    for method, design, platform in _ROUTES:
        if method == scope["method"] and (match := design.fullmatch(path)):
            turned = platform.format(*(part or "" for part in match.groups()))
            scope["raw_path"], scope["path"] = turned.encode("ascii"), unquote(turned)
            return True
    return False
