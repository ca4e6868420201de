"""The platform's HTTP dialect: the envelope, errors, pages, and what a request says (platform.md 3).

Success is `{"success":true,"data":…}`, an error `{"success":false,"error":{"code","message","timestamp"}}`. Lists are
`items` and begin at page 1; for who came by a route of the design (`speaks_design`) they are `content`, from page 0.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

log = logging.getLogger("infra.portal")

Handler = Callable[[Request], Awaitable[Response]]
MAX_PAGE_SIZE = 100
DESIGN_HEADER = "x-portal-design-route"
"""Set by the gateway, which lets no client say it."""

M = TypeVar("M", bound=BaseModel)


class ApiError(Exception):
    """An answer that is not a success. `body` replaces the envelope (the limiter's 429 has an empty one)."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, object]] = (),
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details
        self.body, self.headers = body, headers

    def response(self) -> Response:
        if self.body is not None:
            return Response(self.body, self.status, self.headers)
        error: dict[str, object] = {"code": self.code, "message": self.message, "timestamp": timestamp()}
        if self.details:
            error["details"] = self.details
        return json_response({"success": False, "error": error}, self.status, self.headers)


def invalid(field: str, message: str, value: object) -> ApiError:
    """400 C002, naming the field."""
    detail = {"field": field, "message": message, "rejectedValue": value}
    return ApiError(400, "C002", f"Invalid input: {field} {message}", details=[detail])


def timestamp() -> str:
    """Now, as the envelope writes it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def ok(data: object) -> Response:
    """200 in the envelope."""
    return json_response({"success": True, "data": data})


def page_of(items: Sequence[object], page: int, size: int, total: int, called: str = "items") -> Response:
    """A page of a list; `called` is the list's name (see `list_name`)."""
    pages = -(-total // size)
    return ok({called: items, "page": page, "size": size, "totalElements": total, "totalPages": pages})


def speaks_design(request: Request) -> bool:
    """Whether the request came by one of the design's routes (infra/portal/design_routes.py)."""
    return DESIGN_HEADER in request.headers


def list_name(request: Request) -> str:
    """What a list is called in the request's dialect."""
    return "content" if speaks_design(request) else "items"


def query_int(request: Request, name: str, default: int, low: int, high: int | None = None) -> int:
    """A whole number of the query string, or 400 C002."""
    text = request.query_params.get(name)
    if text is None:
        return default
    return whole_number(name, text, low, high)


def whole_number(name: str, text: str, low: int, high: int | None = None) -> int:
    """`text` as a number within bounds, or 400 C002."""
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise invalid(name, "must be a whole number", text)
    number = int(text)
    if number < low or (high is not None and number > high):
        raise invalid(name, f"must be at least {low}" + (f" and at most {high}" if high else ""), number)
    return number


def paging(request: Request, default_size: int) -> tuple[int, int, int]:
    """(page, size, offset) of a list whose first page is 1, or 0 in the design's dialect."""
    first = 0 if speaks_design(request) else 1
    page = query_int(request, "page", first, low=first)
    size = query_int(request, "size", default_size, low=1, high=MAX_PAGE_SIZE)
    return page, size, (page - first) * size


async def payload(request: Request, model: type[M]) -> M:
    """The JSON body as `model`, or 400 C002 with a detail for each field at fault."""
    try:
        return model.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        details = [
            {"field": ".".join(map(str, e["loc"])), "message": e["msg"], "rejectedValue": _json_of(e.get("input"))}
            for e in error.errors(include_url=False, include_context=False)
        ]
        raise ApiError(400, "C002", "Invalid input", details=details) from error


def _json_of(rejected: object) -> object:
    """What was rejected, as JSON can carry it: a body that is no JSON is bytes."""
    return rejected.decode(errors="replace") if isinstance(rejected, bytes) else rejected


def client_ip(request: Request) -> str:
    """X-Real-IP, else the peer (platform.md 1: the limiter's and the login lock's key)."""
    return request.headers.get("x-real-ip") or (request.client.host if request.client else "unknown")


def user_id(request: Request) -> str:
    """The user whom the gateway vouches for; without X-User-Id and a role it is 403 with an empty body."""
    user = request.headers.get("x-user-id")
    roles = request.headers.get("x-user-effective-roles") or request.headers.get("x-user-roles")
    if not user or not roles:
        raise ApiError(403, "C004", "No user", body=b"")
    return user


def instant(request: Request, name: str) -> datetime | None:
    """A query parameter as an instant, UTC without offset; 400 C002 when it is none."""
    text = request.query_params.get(name)
    return utc(name, text) if text else None


def utc(name: str, text: str) -> datetime:
    """An ISO 8601 text as UTC without offset; without an offset it is UTC already."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name, "must be an ISO 8601 instant", text) from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
