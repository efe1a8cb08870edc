"""Other sites' pages get nothing, and change nothing."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.inference.tiny import finder
from tests.webapp.guided import encoded, serving, two_reds


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with serving(finder(), names=["cut.home.lan"]) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:8000", 200),  # through a tunnel
        ("LOCALHOST", 200),
        ("[::1]:7860", 200),
        ("192.168.1.5:7860", 200),  # host=0.0.0.0; an address cannot be made to point elsewhere
        ("cut.home.lan", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:7860", 403),
        ("", 403),
    ],
)
def test_only_known_hosts_are_answered(client: TestClient, host: str, status: int) -> None:
    for path in ("/", "/api/model", "/static/main.js"):
        assert client.get(path, headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),  # a program, not a browser
        ({"origin": "http://127.0.0.1:7860"}, 201),
        ({"origin": "https://cut.home.lan", "host": "cut.home.lan"}, 201),
        ({"origin": "http://127.0.0.1:7861"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_only_its_own_page_may_send(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    response = client.post("/api/pictures", content=encoded(two_reds()[0]), headers=headers)
    assert response.status_code == status
    if status == 403:
        assert "other sites" in response.json()["error"].lower()


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in response.headers
    for path in ("/", "/static/style.css", "/static/main.js"):
        text = client.get(path).text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


def test_clicks_are_short(client: TestClient) -> None:
    """They are read whole before they are looked at, so their length is what is looked at first."""
    path = "/api/pictures/x/objects/1"
    many = client.put(path, json={"points": [[1, 2]] * 20_000})
    unannounced = client.put(path, content=iter([b"{}"]))
    assert (many.status_code, unannounced.status_code) == (413, 413)
    assert "at most" in many.json()["error"]
    assert client.put(path, json={"points": [[1, 2]]}).status_code == 404  # no such picture
