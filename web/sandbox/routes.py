"""Turns plain functions into control endpoints: JSON in (checked by msgspec), JSON out."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "DELETE"]


class Nothing(msgspec.Struct):
    """The body of calls that need none; an empty body is welcome."""


@dataclass(frozen=True)
class ControlCall(Generic[T]):
    """One call of the control API."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    data: T


class ControlError(Exception):
    """Answered as ``{"error": {"message": ...}}``."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message}}


def control_route(
    method: Method, path: str, handler: Callable[[ControlCall[T]], Any], body: type[T] | None = None
) -> HTTPRouteHandler:
    """An endpoint at ``path`` whose body is read as ``body``; the handler may be async.

    Errors with a ``status`` and a ``body`` (a stand-in's own, :class:`ControlError`) become the answer.
    """
    expected: Any = body or Nothing

    async def endpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            data = msgspec.json.decode(await request.body() or b"{}", type=expected)
            call = ControlCall(_texts(request.path_params), dict(request.query_params), data)
            result = handler(call)
            if inspect.isawaitable(result):
                result = await result
            return json_response(result)
        except msgspec.MsgspecError as error:
            return json_response({"error": {"message": str(error)}}, 400)
        except ValueError as error:
            return json_response({"error": {"message": str(error)}}, 400)
        except Exception as error:
            status, answer = getattr(error, "status", None), getattr(error, "body", None)
            if not isinstance(status, int):
                raise
            return json_response(answer, status)

    return HTTPRouteHandler(path, http_method=method, sync_to_thread=None, status_code=200)(endpoint)


def json_response(body: Any, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}
