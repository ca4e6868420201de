"""The data that every run starts from: users, posts, products. Deterministic: planting it again changes nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import orjson

LOAD_USERS = 600
LOAD_PASSWORD = "loadtest123"
LOAD_EMAIL = "loadtest@test.com"
"""The design's own user (section 4.3). The password is weaker than the policy for sign-ups, as a seed may be."""

POSTS = 200
STOCK = 1_000_000
LOAD_COUPON = ("LOADTEST", 100)
"""Code and stock of coupon 1."""

PLANTED = {
    "노트북": 20,
    "스마트폰": 18,
    "이어폰": 16,
    "키보드": 14,
    "마우스": 12,
    "모니터": 10,
    "태블릿": 9,
    "카메라": 8,
    "프린터": 7,
    "스피커": 6,
}
"""The words of scenario D and in how many product names each is planted: a search must find exactly so many."""
OTHERS = {"의자": 20, "책상": 20, "가방": 20, "시계": 20}
"""Products that none of those searches may find."""

_BRANDS = ("한빛", "누리", "가온", "다솜", "미르")
_CATEGORIES = ("Electronics", "Fashion", "Home", "Sports", "Beauty")
_EPOCH = datetime(2026, 1, 1)


def user_uuid(number: int) -> str:
    """The id of load user `number`; 0 is the design's own user."""
    return f"00000000-0000-4000-8000-{number:012d}"


def users() -> Iterator[tuple[str, str, str]]:
    """(uuid, email, nickname) of the design's user and the load users."""
    yield user_uuid(0), LOAD_EMAIL, "loadtest"
    for number in range(1, LOAD_USERS + 1):
        yield user_uuid(number), f"load{number:04d}@test.com", f"load{number:04d}"


def posts() -> Iterator[tuple[str, datetime, str, str]]:
    """(id, published at, summary JSON, document JSON); the id looks like a Mongo ObjectId."""
    for number in range(1, POSTS + 1):
        post_id = f"{0x65C0 << 80 | number:024x}"
        published_at = _EPOCH + timedelta(minutes=number)
        summary = {
            "id": post_id,
            "title": f"Post {number}",
            "summary": f"What was learned on day {number}.",
            "authorId": user_uuid(number % LOAD_USERS),
            "authorNickname": f"load{number % LOAD_USERS:04d}",
            "tags": ["portal", f"topic-{number % 7}"],
            "category": _CATEGORIES[number % len(_CATEGORIES)],
            "thumbnailUrl": None,
            "images": [],
            "viewCount": number * 3,
            "likeCount": number % 50,
            "commentCount": number % 10,
            "publishedAt": published_at,
            "estimatedReadTime": 1 + number % 9,
        }
        document = summary | {"content": f"Paragraph of post {number}. " * 40, "status": "PUBLISHED"}
        yield post_id, published_at, orjson.dumps(summary).decode(), orjson.dumps(document).decode()


def products() -> Iterator[tuple[int, str, str, int, int, str, bool]]:
    """(id, name, description, price, discount price, category, featured)."""
    words = [word for word, count in (PLANTED | OTHERS).items() for _ in range(count)]
    for number, word in enumerate(words, start=1):
        price = 50_000 + 1_000 * number
        name = f"{_BRANDS[number % len(_BRANDS)]} {word} {number:03d}"
        category = _CATEGORIES[number % len(_CATEGORIES)]
        description = f"Product {number} of the reference portal"
        yield number, name, description, price, price * 9 // 10, category, number % 10 == 0
