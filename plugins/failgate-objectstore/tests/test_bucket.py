"""Settings and addresses of the object store; `test_ceph.py` has it against a real one. F3 F16 E16."""

import pytest
from failgate_objectstore import ObjectStoreSettings, plugin

from failgate.config.errors import ConfigRefused
from failgate.plugin import NotFound, Secret, StartRefused
from failgate.testing import host_at, opened, settings_from


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000",  # loopback, without [server] allow_loopback
        "http://s3.example.com",  # not https
        "https://169.254.169.254",  # the metadata service of a cloud
        "https://10.0.0.8:9000",
        "https://user:secret@s3.example.com",
        "ftp://s3.example.com",
    ],
)
async def test_an_endpoint_that_no_other_request_may_go_to_refuses_the_start(tmp_path, endpoint):
    settings = ObjectStoreSettings(
        url="s3://bucket", endpoint=endpoint, region="r", access_key=Secret("a"), secret_key=Secret("s")
    )
    with pytest.raises(StartRefused, match="refused"):
        async with opened(plugin, settings, host_at(tmp_path)):
            pass


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('url = "https://bucket"', "say s3://"),
        ('url = "s3://"', "names no bucket"),
        ('url = "s3://b/../x"', "bucket"),
        ('url = "s3://bucket/../x"', "prefix"),
        ('url = "s3://bucket"', "access_key"),
        ('url = "gs://bucket"', "service_account"),
        ('url = "az://bucket"\naccount = "A"', "account"),
        ('url = "memory://"', "say s3://"),
        ('url = "gs://bucket"\nservice_account = { env = "A" }\naccount = "abc"', "does not take"),
        ('url = "s3://bucket"\naccess_key = "AKID"', "access_key"),
        ('url = "s3://bucket"\npart = "1MiB"', "part"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml, says):
    with pytest.raises(ConfigRefused, match=says):
        settings_from(plugin, toml, {"A": "x"})


def test_secrets_come_from_the_environment_or_files(tmp_path):
    (tmp_path / "secret").write_text("sesame\n")
    toml = f"""
    url = "s3://bucket/reports"
    region = "eu-central-1"
    access_key = {{ env = "AKID" }}
    secret_key = {{ file = "{tmp_path}/secret" }}
    """
    settings = settings_from(plugin, toml, {"AKID": "AKIDX"})
    assert settings.secret_key.reveal() == "sesame"
    assert "sesame" not in repr(settings)
    assert settings.service_url == "https://s3.eu-central-1.amazonaws.com"


async def test_google_and_azure_open_without_a_request(tmp_path):
    settings = ObjectStoreSettings(url="az://reports", account="failgate", account_key=Secret("a2V5"))
    assert settings.service_url == "https://failgate.blob.core.windows.net"
    with pytest.raises((StartRefused, NotFound)):
        async with opened(
            plugin, ObjectStoreSettings(url="gs://reports", service_account=Secret("{}")), host_at(tmp_path)
        ):
            pass
