"""targets.secrets: a profile's passwords, written out or only named."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.settings import process_environment
from targets.model import FOLDER, Profile, load_profile

CANARY = "canary-7f3e91-password"
PORTAL = (FOLDER / "portal.yaml").read_text(encoding="utf-8")
WRITTEN = "  password: loadtest123\n"


def profile_with(folder: Path, password: str) -> str:
    """The portal's profile as a file, with another test account's password."""
    assert WRITTEN in PORTAL
    file = folder / "mine.yaml"
    file.write_text(PORTAL.replace(WRITTEN, f"  password: {password}\n"), encoding="utf-8")
    return str(file)


def password_of(profile: Profile) -> str:
    return profile.users.password.get_secret_value()


class TestPassword:
    def test_may_be_written_out_for_a_test_user(self) -> None:
        assert password_of(load_profile("portal")) == "loadtest123"

    def test_comes_from_the_environment_and_goes_to_no_program(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TARGETS_PASSWORD", CANARY)
        assert password_of(load_profile(profile_with(tmp_path, "{env: MY_TARGETS_PASSWORD}"))) == CANARY
        assert CANARY not in process_environment().values()

    def test_comes_from_the_first_line_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(f"{CANARY}\n# the second line is no part of it\n", encoding="utf-8")
        assert password_of(load_profile(profile_with(tmp_path, f"{{file: {tmp_path}/secret}}"))) == CANARY

    def test_comes_from_prefects_blocks_where_they_can_be_read(self, tmp_path: Path) -> None:
        file = profile_with(tmp_path, "{secret: my-block}")
        assert password_of(load_profile(file, {"my-block": CANARY}.__getitem__)) == CANARY

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("{env: NOT_SET_ANYWHERE}", "the environment variable NOT_SET_ANYWHERE is not set"),
            ("{file: /not/there}", "the file '/not/there' cannot be read: No such file or directory"),
            ("{file: /dev/null}", "holds no password on its first line"),
            ("{secret: my-block}", "Prefect's blocks are read in flows only"),
            ("{vault: x}", "{env: NAME}, {file: PATH} or {secret: BLOCK} is expected"),
            ("{env: A, file: B}", "{env: NAME}, {file: PATH} or {secret: BLOCK} is expected"),
        ],
    )
    def test_that_cannot_be_read_is_said_with_its_line(self, tmp_path: Path, written: str, said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_profile(profile_with(tmp_path, written))
        assert said in caught.value.what
        assert "users.password" in caught.value.what
        assert caught.value.where.startswith(f"{tmp_path}/mine.yaml:")

    def test_is_in_no_repr_and_in_no_dump(self, tmp_path: Path) -> None:
        profile = load_profile(profile_with(tmp_path, CANARY))
        assert CANARY not in repr(profile) + str(profile) + profile.model_dump_json()

    def test_that_is_no_text_is_not_repeated(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            load_profile(profile_with(tmp_path, f"[{CANARY}]"))
        assert CANARY not in str(caught.value)
