from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any

import pytest

from oxidite import Depends, Oxidite, Query, Request, Response, TextResponse
from oxidite import errors as errors_module
from oxidite.errors import (
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
    BadRequestError,
    FieldError,
    ForbiddenError,
    HTTPError,
    InternalServerError,
    NotFoundError,
    OxiditeError,
    PayloadTooLargeError,
    UnauthorizedError,
    ValidationError,
)
from oxidite.http import Handler
from oxidite.middleware.errors import ErrorHandler, ErrorRenderer
from oxidite.testing import Client

SECRET = "hunter2-in-the-exception"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

# What is released never changes: a new class gets a line here, a line is never edited.
CODES = {
    "BackendError": "backend",
    "BackendTimeoutError": "backend_timeout",
    "BackendUnavailableError": "backend_unavailable",
    "BadRequestError": "bad_request",
    "ConfigError": "config",
    "ConflictError": "conflict",
    "ForbiddenError": "forbidden",
    "GatewayTimeoutError": "timeout",
    "GoneError": "gone",
    "HTTPError": "http_error",
    "InsufficientStorageError": "insufficient_storage",
    "InternalServerError": "internal",
    "InvalidPathError": "invalid_path",
    "LengthRequiredError": "length_required",
    "MethodNotAllowedError": "method_not_allowed",
    "MissingExtraError": "missing_extra",
    "NotAcceptableError": "not_acceptable",
    "NotFoundError": "not_found",
    "OxiditeError": "error",
    "PayloadTooLargeError": "payload_too_large",
    "PreconditionFailedError": "precondition_failed",
    "RequestTimeoutError": "request_timeout",
    "RouteError": "route",
    "ServiceUnavailableError": "unavailable",
    "TooManyRequestsError": "too_many_requests",
    "UnauthorizedError": "unauthorized",
    "UnknownBackendError": "unknown_backend",
    "UnsupportedMediaTypeError": "unsupported_media_type",
    "UpgradeRequiredError": "upgrade_required",
    "ValidationError": "validation",
}


class TeapotError(HTTPError):
    """I am a teapot."""

    code = "teapot"
    status = 418


class StrangeError(HTTPError):
    """A status that nobody registered."""

    code = "strange"
    status = 499


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def request(accept: str | None = None, path: str = "/secret/path") -> Request:
    return Request.of("GET", path, headers={} if accept is None else {"accept": accept})


def renderer(
    handlers: Mapping[type[Exception] | int, ErrorHandler] | None = None, *, debug: bool = False
) -> ErrorRenderer:
    return ErrorRenderer(handlers, debug=debug)


def problem(response: Response) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = json.loads(response.body)
    return document


def raised(error: Exception) -> Exception:
    """Give the error a traceback, and a cause."""
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise error from cause
    except Exception as exc:  # noqa: BLE001 - whatever it was
        return exc


class TestTree:
    def test_the_codes_are_those_that_were_released(self) -> None:
        classes = {
            name: getattr(errors_module, name)
            for name in errors_module.__all__
            if isinstance(getattr(errors_module, name), type)
            and issubclass(getattr(errors_module, name), OxiditeError)
        }
        assert {name: cls.code for name, cls in classes.items()} == CODES

    def test_no_two_classes_share_a_code(self) -> None:
        assert len(set(CODES.values())) == len(CODES)

    def test_everything_is_one_tree(self) -> None:
        for name in CODES:
            assert issubclass(getattr(errors_module, name), OxiditeError)

    def test_the_default_message_is_the_docstring_on_one_line(self) -> None:
        assert NotFoundError().message == "There is nothing here."
        assert ValidationError([]).message == "0 errors in the request."
        assert "\n" not in errors_module.InvalidPathError().message


class TestExpectedErrors:
    async def test_an_http_error_is_a_problem_document(self) -> None:
        response = await renderer()(request(), NotFoundError("No post 7."))
        assert response.status == 404
        assert problem(response) == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "No post 7.",
            "code": "not_found",
        }

    async def test_every_field_error_is_in_the_document(self) -> None:
        error = ValidationError(
            [
                FieldError("query", "Too small.", name="page", code="constraint"),
                FieldError("body", "Missing.", pointer="/items/0/a~1b", code="missing"),
                FieldError("body", "Malformed.", pointer=""),
            ]
        )
        response = await renderer()(request(), error)
        document = problem(response)
        assert (response.status, document["title"]) == (422, "Unprocessable Content")
        assert document["detail"] == "3 errors in the request."
        assert document["errors"] == [
            {"in": "query", "parameter": "page", "detail": "Too small.", "code": "constraint"},
            {"in": "body", "pointer": "#/items/0/a~1b", "detail": "Missing.", "code": "missing"},
            {"in": "body", "pointer": "#", "detail": "Malformed.", "code": "invalid"},
        ]

    async def test_headers_and_members_of_the_error_reach_the_client(self) -> None:
        error = UnauthorizedError(headers={"WWW-Authenticate": "Bearer"}, extra={"realm": "x"})
        response = await renderer()(request(), error)
        assert response.headers["www-authenticate"] == "Bearer"
        assert problem(response)["realm"] == "x"

    async def test_headers_reach_a_browser_too(self) -> None:
        error = UnauthorizedError(headers={"www-authenticate": "Bearer"})
        response = await renderer()(request(BROWSER), error)
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.status == 401

    async def test_an_error_class_of_the_application_needs_nothing_else(self) -> None:
        response = await renderer()(request(), TeapotError())
        assert response.status == 418
        assert problem(response)["code"] == "teapot"
        assert problem(response)["detail"] == "I am a teapot."

    async def test_a_status_that_nobody_registered_is_answered_all_the_same(self) -> None:
        response = await renderer()(request(), StrangeError())
        assert response.status == 499
        assert problem(response)["code"] == "strange"

    async def test_it_is_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            await renderer()(request(), ForbiddenError())
        assert caplog.records == []

    async def test_observers_are_not_told_of_it(self) -> None:
        render, told = renderer(), list[Exception]()
        render.observers.append(lambda _, error: told.append(error))
        await render(request(), ForbiddenError())
        assert told == []

    async def test_a_cause_is_not_shown(self) -> None:
        response = await renderer()(request(), raised(BadRequestError("Bad.")))
        assert SECRET not in response.body.decode()

    async def test_the_response_carries_its_error(self) -> None:
        error = NotFoundError()
        assert (await renderer()(request(), error)).error is error


class TestAccept:
    @pytest.mark.parametrize(
        "accept",
        [
            None,
            "*/*",
            "application/json",
            "application/problem+json",
            "",
            "nonsense",
            "text/html;q=0",
            "text/html;q=0.1, application/json",
            "text/plain",
            "," * 5000,
            "text/html" * 5000,
        ],
    )
    async def test_a_program_gets_json(self, accept: str | None) -> None:
        response = await renderer()(request(accept), NotFoundError())
        assert response.content_type == "application/problem+json"

    @pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/html, application/json;q=0.5"])
    async def test_a_browser_gets_a_page(self, accept: str) -> None:
        response = await renderer()(request(accept), NotFoundError())
        assert response.status == 404
        assert response.content_type == "text/html; charset=utf-8"
        assert b"404 Not Found" in response.body

    async def test_the_page_escapes_what_the_message_says(self) -> None:
        error = NotFoundError('No "<script>alert(1)</script>".')
        page = (await renderer()(request(BROWSER), error)).body
        assert b"<script>alert" not in page
        assert b"&lt;script&gt;" in page

    @pytest.mark.parametrize("accept", [None, BROWSER])
    @pytest.mark.parametrize("error", [NotFoundError(), ValueError("x")])
    async def test_a_cache_keeps_page_and_document_apart(
        self, accept: str | None, error: Exception
    ) -> None:
        response = await renderer()(request(accept), error)
        assert response.headers.get("vary") == "accept"

    async def test_vary_of_the_error_itself_stays(self) -> None:
        error = NotFoundError(headers={"vary": "Origin"})
        for accept in (None, BROWSER):
            response = await renderer()(request(accept), error)
            assert response.headers.get_all("vary") == ["Origin, accept"]


class TestUnexpectedErrors:
    @pytest.mark.parametrize("accept", [None, BROWSER])
    @pytest.mark.parametrize(
        "error",
        [
            ValueError(SECRET),
            RuntimeError(SECRET, {"a": SECRET}),
            OxiditeError(SECRET),
            BackendError(SECRET),
            BackendTimeoutError(SECRET),
            BackendUnavailableError(SECRET),
            ExceptionGroup(SECRET, [ValueError(SECRET)]),
            KeyError(SECRET),
            StopAsyncIteration(SECRET),
        ],
    )
    async def test_production_shows_an_id_and_nothing_of_the_exception(
        self, error: Exception, accept: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        error = raised(error)
        error.add_note(SECRET)
        response = await renderer()(request(accept), error)
        said = response.body.decode() + repr(response.headers.multi_items())
        for word in (SECRET, type(error).__name__, "Traceback", __file__, "raised", "test_errors"):
            assert word not in said
        logged = caplog.records[-1]
        assert SECRET in caplog.text
        assert isinstance(logged.args, tuple)
        error_id = str(logged.args[0])
        assert len(error_id) == 16
        assert error_id in response.body.decode()

    async def test_the_document_is_that_of_a_500(self) -> None:
        document = problem(await renderer()(request(), ValueError(SECRET)))
        assert document.pop("error_id")
        assert document == {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": "Something went wrong on our side. It has been logged.",
            "code": "internal",
        }

    async def test_every_failure_has_an_id_of_its_own(self) -> None:
        render = renderer()
        ids = {problem(await render(request(), ValueError()))["error_id"] for _ in range(20)}
        assert len(ids) == 20

    async def test_a_service_that_is_away_is_503_and_worth_a_retry(self) -> None:
        response = await renderer()(request(), BackendUnavailableError(SECRET))
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
        assert problem(response)["code"] == "unavailable"
        assert isinstance(response.error, BackendUnavailableError)

    async def test_an_internal_error_raised_on_purpose_says_what_it_was_told_to(self) -> None:
        response = await renderer()(request(), InternalServerError("The printer is on fire."))
        assert problem(response)["detail"] == "The printer is on fire."

    async def test_a_path_cannot_write_lines_into_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        # uvicorn CVE-2020-7694
        path = "/a\r\nerror 0: forged\x1b[31m\u2028x"
        hostile = Request.of("G\nET", path)
        await renderer()(hostile, ValueError("x"))
        message = caplog.records[-1].getMessage()
        assert message.isprintable()
        assert "\\r\\nerror 0: forged\\x1b[31m\\u2028x" in message

    async def test_the_log_has_the_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        error = raised(ValueError("x"))
        await renderer()(request(), error)
        info = caplog.records[-1].exc_info
        assert info is not None
        assert info[1] is error

    async def test_observers_are_told_once(self) -> None:
        render, told = renderer(), list[tuple[Request, Exception]]()
        render.observers.append(lambda asked, error: told.append((asked, error)))
        asked, error = request(), ValueError()
        await render(asked, error)
        assert told == [(asked, error)]

    async def test_an_observer_that_fails_does_not_keep_the_answer(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(asked: Request, error: Exception) -> None:
            raise RuntimeError("observer")

        render = renderer()
        render.observers.append(broken)
        response = await render(request(), ValueError(SECRET))
        assert response.status == 500
        assert SECRET not in response.body.decode()
        # The first failure is what somebody has to find in the log.
        assert SECRET in caplog.text


class TestDebug:
    async def test_a_program_sees_the_exception_and_its_traceback(self) -> None:
        response = await renderer(debug=True)(request(), raised(ValueError(SECRET)))
        document = problem(response)
        assert response.status == 500
        assert document["detail"] == f"ValueError: {SECRET}"
        assert any("raised" in line for line in document["traceback"])

    async def test_a_browser_sees_a_page(self) -> None:
        response = await renderer(debug=True)(request(BROWSER), raised(ValueError("<b>" + SECRET)))
        assert response.status == 500
        assert response.content_type == "text/html; charset=utf-8"
        assert SECRET.encode() in response.body
        assert b"<b>" + SECRET.encode() not in response.body

    async def test_an_expected_error_is_the_same_as_in_production(self) -> None:
        for accept in (None, BROWSER):
            shown = await renderer(debug=True)(request(accept), NotFoundError("x"))
            assert shown.body == (await renderer()(request(accept), NotFoundError("x"))).body

    async def test_a_service_that_is_away_stays_503(self) -> None:
        response = await renderer(debug=True)(request(), BackendUnavailableError("x"))
        assert response.status == 503
        assert response.headers["retry-after"] == "1"

    @pytest.mark.parametrize("accept", [None, BROWSER])
    @pytest.mark.parametrize(
        "error",
        [
            UnprintableError(),
            ValueError("\ud800"),
            ValueError("\x00\x1b[31m"),
            ValueError("x" * 1_000_000),
            ValueError(b"\xff"),
        ],
    )
    async def test_an_exception_that_cannot_be_shown_is_answered_all_the_same(
        self, error: Exception, accept: str | None
    ) -> None:
        response = await renderer(debug=True)(request(accept), error)
        assert response.status == 500
        assert response.error is error
        response.body.decode()


class TestUnrenderableErrors:
    """Errors that themselves cannot be told: the answer is a plain 500, never an exception."""

    @pytest.mark.parametrize("accept", [None, BROWSER])
    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize(
        "error",
        [
            BadRequestError("lone surrogate \ud800"),
            BadRequestError("x", headers={"x": "a\r\nset-cookie: b=1"}),
            BadRequestError("x", headers={"a b": "x"}),
            BadRequestError("x", extra={"x": object()}),
            BadRequestError("x", extra={"x": "\ud800"}),
        ],
    )
    async def test_it_becomes_a_500(
        self,
        error: HTTPError,
        debug: bool,
        accept: str | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        response = await renderer(debug=debug)(request(accept), error)
        assert response.status in (400, 500)
        assert "set-cookie" not in response.headers
        assert response.error is not None
        response.body.decode()
        if response.status == 500:
            assert caplog.records, "what went wrong is logged"

    async def test_a_status_outside_http_becomes_a_500(self) -> None:
        class ImpossibleError(HTTPError):
            """Impossible."""

            status = 42

        assert (await renderer()(request(), ImpossibleError())).status == 500


class BaseError(Exception):
    pass


class MiddleError(BaseError):
    pass


class LeafError(MiddleError):
    pass


def answering(text: str) -> ErrorHandler:
    return lambda _, __: TextResponse(text, 418)


class TestHandlers:
    async def test_the_nearest_class_answers(self) -> None:
        render = renderer(
            {
                Exception: answering("exception"),
                BaseError: answering("base"),
                MiddleError: answering("middle"),
            }
        )
        assert (await render(request(), LeafError())).body == b"middle"
        assert (await render(request(), MiddleError())).body == b"middle"
        assert (await render(request(), BaseError())).body == b"base"
        assert (await render(request(), ValueError())).body == b"exception"

    async def test_of_two_bases_the_first_in_the_mro_answers(self) -> None:
        class BothError(MiddleError, ValueError):
            pass

        render = renderer({ValueError: answering("value"), BaseError: answering("base")})
        assert (await render(request(), BothError())).body == b"base"

    async def test_a_status_answers_where_no_class_does(self) -> None:
        render = renderer(
            {404: answering("404"), 500: answering("500"), ForbiddenError: answering("f")}
        )
        assert (await render(request(), NotFoundError())).body == b"404"
        assert (await render(request(), ForbiddenError())).body == b"f"
        assert (await render(request(), ValueError())).body == b"500"
        assert (await render(request(), InternalServerError())).body == b"500"
        assert (await render(request(), UnauthorizedError())).status == 401

    async def test_a_class_goes_before_a_status(self) -> None:
        render = renderer({404: answering("404"), HTTPError: answering("class")})
        assert (await render(request(), NotFoundError())).body == b"class"

    async def test_a_service_that_is_away_is_asked_by_the_status_it_would_get(self) -> None:
        render = renderer({503: answering("503"), 500: answering("500")})
        assert (await render(request(), BackendUnavailableError())).body == b"503"

    async def test_it_may_be_async(self) -> None:
        async def handler(asked: Request, error: Exception) -> Response:
            return TextResponse(f"{asked.path} {error}", 409)

        error = ValueError("x")
        response = await renderer({ValueError: handler})(request(), error)
        assert (response.status, response.body) == (409, b"/secret/path x")
        assert response.error is error

    async def test_what_it_answers_is_neither_logged_nor_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        render, told = renderer({ValueError: answering("x")}), list[Exception]()
        render.observers.append(lambda _, error: told.append(error))
        await render(request(), ValueError())
        assert told == []
        assert caplog.records == []

    async def test_one_that_raises_is_an_error_like_any_other(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(asked: Request, error: Exception) -> Response:
            raise RuntimeError("handler broke")

        async def broken_later(asked: Request, error: Exception) -> Response:
            raise RuntimeError("handler broke")

        for handler in (broken, broken_later):
            response = await renderer({ValueError: handler})(request(), ValueError(SECRET))
            assert response.status == 500
            assert isinstance(response.error, RuntimeError)
            assert SECRET.encode() not in response.body
            assert b"broke" not in response.body
            # Both are in the log: the second, and the first as its cause.
            assert "handler broke" in caplog.text
            assert SECRET in caplog.text
            caplog.clear()

    async def test_one_that_raises_an_http_error_answers_with_it(self) -> None:
        def hide(asked: Request, error: Exception) -> Response:
            raise NotFoundError("Nothing to see.")

        response = await renderer({ForbiddenError: hide})(request(), ForbiddenError())
        assert response.status == 404
        assert isinstance(response.error, NotFoundError)

    async def test_one_that_raises_the_error_itself_passes_it_on(self) -> None:
        def again(asked: Request, error: Exception) -> Response:
            raise error

        error = NotFoundError("x")
        response = await renderer({NotFoundError: again})(request(), error)
        assert response.status == 404
        assert response.error is error
        assert error.__cause__ is None, "an error is not its own cause"

    async def test_one_that_raises_the_cause_makes_no_circle(self) -> None:
        def cause(asked: Request, error: Exception) -> Response:
            assert isinstance(error.__cause__, Exception)
            raise error.__cause__

        response = await renderer({ValueError: cause})(request(), raised(ValueError("x")))
        seen = list[BaseException]()
        error: BaseException | None = response.error
        while error is not None:
            assert error not in seen
            seen.append(error)
            error = error.__cause__

    @pytest.mark.parametrize("answer", [None, "text", {"a": 1}, 404])
    async def test_one_that_returns_no_response_is_an_error_that_says_so(
        self, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def strange(asked: Request, error: Exception) -> Response:
            returned: Response = answer
            return returned

        response = await renderer({ValueError: strange})(request(), ValueError(SECRET))
        assert response.status == 500
        assert isinstance(response.error, TypeError)
        assert "strange" in str(response.error)
        assert SECRET in caplog.text

    async def test_handlers_given_later_to_the_mapping_do_not_count(self) -> None:
        handlers: dict[type[Exception] | int, ErrorHandler] = {}
        render = renderer(handlers)
        handlers[ValueError] = answering("late")
        assert (await render(request(), ValueError())).status == 500


async def _get(app: Oxidite, path: str = "/", **headers: str) -> Any:
    async with Client(app, raise_errors=False) as client:
        return await client.get(path, headers=headers)


def _application(**options: Any) -> Oxidite:
    return Oxidite(debug=False, **options)


class TestWhereErrorsHappen:
    async def test_in_a_handler(self) -> None:
        app = _application()

        @app.get("/")
        async def show() -> str:
            raise ValueError(SECRET)

        response = await _get(app)
        assert response.status_code == 500
        assert SECRET not in response.text + str(response.headers)
        assert response.json()["error_id"]

    async def test_in_a_sync_handler(self) -> None:
        app = _application()

        @app.get("/")
        def show() -> str:
            raise ValueError(SECRET)

        response = await _get(app)
        assert response.status_code == 500
        assert SECRET not in response.text

    async def test_in_a_middleware_before_and_after_the_handler(self) -> None:
        async def before(request: Request, call_next: Handler) -> Response:
            raise ValueError(SECRET)

        async def after(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            raise ValueError(SECRET)

        for middleware in (before, after):
            app = _application(middleware=[middleware])

            @app.get("/", middleware=[middleware])
            async def show() -> str:
                return "x"

            response = await _get(app)
            assert response.status_code == 500
            assert SECRET not in response.text

    async def test_an_error_in_a_middleware_is_seen_by_those_around_it(self) -> None:
        seen = list[Exception | None]()

        async def outer(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            seen.append(response.error)
            response.headers["access-control-allow-origin"] = "*"
            return response

        async def inner(request: Request, call_next: Handler) -> Response:
            raise ForbiddenError

        app = _application(middleware=[outer, inner])
        response = await _get(app)
        assert response.status_code == 403
        assert response.headers["access-control-allow-origin"] == "*"
        assert [type(error) for error in seen] == [ForbiddenError]

    async def test_the_error_of_a_handler_is_visible_to_every_middleware(self) -> None:
        seen = list[str]()

        def watch(name: str) -> Callable[[Request, Handler], Any]:
            async def middleware(request: Request, call_next: Handler) -> Response:
                response = await call_next(request)
                seen.append(f"{name} {type(response.error).__name__} {response.status}")
                return response

            return middleware

        app = _application(middleware=[watch("app")])
        group = app.group("/g", middleware=[watch("group")])

        @group.get("/", middleware=[watch("route")])
        async def show() -> str:
            raise KeyError("x")

        await _get(app, "/g")
        assert seen == ["route KeyError 500", "group KeyError 500", "app KeyError 500"]

    async def test_what_no_route_answers_and_what_does_not_fit_are_errors_with_codes(self) -> None:
        app = _application()

        @app.get("/{id:int}")
        async def show(id: int, page: Annotated[Query[int], "x"] = 1) -> int:
            return id

        for path, status, code in (
            ("/none/here", 404, "not_found"),
            ("/7?page=x", 422, "validation"),
        ):
            response = await _get(app, path)
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["code"] == code
        async with Client(app) as client:
            response = await client.delete("/7")
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"

    @pytest.mark.parametrize("scope", ["handler", "request"])
    async def test_in_the_clean_up_of_a_dependency_before_the_response(self, scope: Any) -> None:
        app = _application()

        async def broken() -> AsyncIterator[int]:
            yield 1
            raise ValueError(SECRET)

        @app.get("/")
        async def show(value: int = Depends(broken, scope=scope)) -> str:
            return "it went well"

        response = await _get(app)
        assert response.status_code == 500
        assert "it went well" not in response.text
        assert SECRET not in response.text

    @pytest.mark.parametrize("scope", ["handler", "request"])
    async def test_a_clean_up_may_answer_with_an_error_of_its_own(self, scope: Any) -> None:
        app = _application()

        async def conflicted() -> AsyncIterator[int]:
            yield 1
            raise errors_module.ConflictError("Somebody was faster.")

        @app.get("/")
        async def show(value: int = Depends(conflicted, scope=scope)) -> str:
            return "x"

        response = await _get(app)
        assert response.status_code == 409
        assert response.json()["detail"] == "Somebody was faster."

    @pytest.mark.parametrize("scope", ["handler", "request"])
    async def test_a_clean_up_that_fails_after_the_handler_failed_is_what_is_answered(
        self, scope: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = _application()

        async def broken() -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                raise RuntimeError("clean-up")

        @app.get("/")
        async def show(value: int = Depends(broken, scope=scope)) -> str:
            raise NotFoundError("handler")

        response = await _get(app)
        assert response.status_code == 500
        assert "clean-up" in caplog.text
        assert "handler" in caplog.text

    @pytest.mark.parametrize("scope", ["handler", "request"])
    async def test_a_dependency_sees_the_error_of_the_handler(self, scope: Any) -> None:
        app, seen = _application(), list[str]()

        async def transaction() -> AsyncIterator[int]:
            try:
                yield 1
            except Exception as exc:
                seen.append(f"rolled back: {exc}")
                raise
            seen.append("committed")

        @app.get("/{fail}")
        async def show(fail: str, value: int = Depends(transaction, scope=scope)) -> str:
            if fail == "yes":
                raise NotFoundError("not there")
            return "x"

        assert (await _get(app, "/yes")).status_code == 404
        assert (await _get(app, "/no")).status_code == 200
        assert seen == ["rolled back: not there", "committed"]

    async def test_a_dependency_that_swallows_the_error_does_not_hide_it_from_the_client(
        self,
    ) -> None:
        app = _application()

        async def swallowing() -> AsyncIterator[int]:
            with contextlib.suppress(Exception):
                yield 1

        @app.get("/")
        async def show(value: int = Depends(swallowing)) -> str:
            raise NotFoundError

        assert (await _get(app)).status_code == 404

    @pytest.mark.parametrize("value", [object(), (1, 2), {1: object()}])
    async def test_a_return_value_that_cannot_be_encoded(self, value: object) -> None:
        app = _application()

        @app.get("/")
        async def show() -> object:
            return value

        response = await _get(app)
        assert response.status_code == 500
        assert "encoded" not in response.text

    async def test_a_header_that_breaks_the_response_sends_nothing_of_it(self) -> None:
        app = _application()

        @app.get("/")
        async def show(name: str) -> Response:
            return Response(b"secret body", headers={"x-name": name})

        response = await _get(app, "/?name=a%0d%0aset-cookie:%20admin=1")
        assert response.status_code == 500
        assert "set-cookie" not in response.headers
        assert "secret body" not in response.text

    async def test_an_error_that_cannot_be_told_is_a_500_and_not_a_dropped_connection(self) -> None:
        app = _application()

        @app.get("/")
        async def show(name: str) -> str:
            raise BadRequestError("x", headers={"x-name": name})

        response = await _get(app, "/?name=a%0d%0aset-cookie:%20admin=1")
        assert response.status_code == 500
        assert "set-cookie" not in response.headers

    async def test_handlers_of_the_application_answer_for_all_of_it(self) -> None:
        app = Oxidite(
            debug=False,
            error_handlers={
                404: answering("nothing"),
                PayloadTooLargeError: answering("too much"),
                ValueError: answering("value"),
            },
            max_body=3,
        )

        @app.post("/")
        async def create(request: Request) -> str:
            if await request.body() == b"bad":
                raise ValueError
            return "x"

        async with Client(app) as client:
            assert (await client.get("/nowhere")).text == "nothing"
            assert (await client.post("/", content=b"1234")).text == "too much"
            assert (await client.post("/", content=b"bad")).text == "value"

    async def test_debug_is_off_unless_it_is_development(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for environment, debug in (
            (None, False),
            ("", False),
            ("production", False),
            ("test", False),
            ("development", True),
        ):
            if environment is None:
                monkeypatch.delenv("OXIDITE_ENV", raising=False)
            else:
                monkeypatch.setenv("OXIDITE_ENV", environment)
            assert Oxidite().debug is debug
            assert Oxidite(debug=not debug).debug is not debug


@pytest.mark.parametrize(
    ("version", "value"), [("1.0", "close"), ("1.1", "close"), ("2", None), ("3", None)]
)
async def test_the_connection_is_spoken_of_only_where_there_is_such_a_field(
    monkeypatch: pytest.MonkeyPatch, version: str, value: str | None
) -> None:
    monkeypatch.setattr(Request, "http_version", version)

    response = await renderer()(request(), PayloadTooLargeError(10))

    assert response.headers.get("connection") == value
