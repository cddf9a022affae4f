from failgate.accounts import backup_codes


def test_ten_codes_of_120_bits_differ() -> None:
    codes = backup_codes.new_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) * 5 == 120 for code in codes)


def test_case_spaces_and_hyphens_do_not_matter() -> None:
    code = backup_codes.new_codes()[0]
    expected = backup_codes.digest_of_code(code)
    assert expected is not None
    assert backup_codes.digest_of_code(code.upper().replace("-", " ")) == expected
    assert backup_codes.digest_of_code(code.replace("-", "")) == expected


def test_what_is_not_written_like_a_code_is_none() -> None:
    for text in ("", "123456", "a" * 23, "a" * 25, "ａ" * 24, "a" * 100_000, "\ud800" * 24, "a" * 23 + "1"):
        assert backup_codes.digest_of_code(text) is None
