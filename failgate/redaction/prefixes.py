"""Tokens that a prefix of their issuer gives away, one a line: the prefix as a pattern, what follows, an example."""

from failgate.redaction.judgement import is_opaque
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"  # 32 letters and digits of no meaning
_H = "3f9a1c7e5b2d8046"  # 16 hex digits of no meaning

# keyword, the whole pattern
_PREFIXED: tuple[tuple[str, str], ...] = (
    ("4b1d", r"4b1d[A-Za-z0-9]{38}"),  # ClickHouse
    ("api.softlayer.com/soap/", r"api\.softlayer\.com/soap/v3(?:\.1)?/[a-z0-9]{64}"),
    ("api-", r"API-[A-Z0-9]{26}"),  # Octopus Deploy
    ("aqvn", r"AQVN[\w\-]{35,38}"),  # Yandex
    ("atatt3", r"ATATT3[\w\-=]{60,300}"),  # Atlassian
    ("atbb", r"ATBB[A-Za-z0-9]{32}"),  # Bitbucket
    ("atctt3", r"ATCTT3[\w\-=]{60,300}"),  # Atlassian
    ("bbdc-", r"BBDC-[A-Za-z0-9+/]{40,50}"),  # Bitbucket Data Center
    ("cfpat-", r"CFPAT-[\w\-]{43}"),  # Contentful
    ("cio", r"cio[A-Za-z0-9]{32}"),  # crates.io
    ("clojars_", r"CLOJARS_[a-z0-9]{60}"),
    ("csk-", r"csk-[a-z0-9]{40,60}"),  # Cerebras
    ("dckr_", r"dckr_[po]at_[\w\-]{27,40}"),  # Docker Hub
    ("ddp_", r"ddp_[A-Za-z0-9]{36}"),  # Doppler
    ("dnkey-", r"dnkey-[\w\-=]{26}-[\w\-=]{52}"),  # Defined Networking
    ("duffel_", r"duffel_(?:test|live)_[\w\-=]{43}"),
    ("eyjr", r"eyJrIjoi[A-Za-z0-9+/]{70,400}={0,3}"),  # Grafana, older
    ("akid", r"AKID[A-Za-z0-9]{32}"),  # Tencent Cloud
    ("aaaa", r"AAAA[\w\-]{7}:APA91b[\w\-]{120,180}"),  # Firebase messaging
    ("aaaaaaaaa", r"AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9%]{60,120}"),  # Twitter
    ("aqe", r"AQE[a-z]hmfxK[\w+/.\-^]{40,200}"),  # Adyen
    ("atta", r"ATTA[A-Za-z0-9]{60,76}"),  # Trello
    ("bkct_", r"bkct_[A-Za-z0-9]{20,60}"),  # Buildkite
    ("bkua_", r"bkua_[0-9a-f]{40}"),
    ("ccipat_", r"CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}"),  # CircleCI
    ("ccipprj_", r"CCIPPRJ_[A-Za-z0-9]{22}_[0-9a-f]{40}"),
    ("cfut_", r"cf[ua]t_[A-Za-z0-9]{40,60}"),  # Cloudflare
    ("chpt_", r"chpt_[a-z0-9]{16,40}"),  # Chromatic
    ("e2b_", r"e2b_[0-9a-f]{40}"),
    ("fc-", r"fc-[0-9a-f]{32}"),  # Firecrawl
    ("fw_", r"fw_[A-Za-z0-9]{22,40}"),  # Fireworks
    ("gitea_", r"gitea_[0-9a-f]{40}"),
    ("hcaik_", r"hc[abx]ik_[A-Za-z0-9]{50,64}"),  # Honeycomb
    ("jina_", r"jina_[A-Za-z0-9_\-]{40,80}"),
    ("mob-", r"mob-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),  # LaunchDarkly
    ("sdk-", r"sdk-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("api-", r"api-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    (
        "access-",
        r"access-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("mlsn.", r"mlsn\.[0-9a-f]{64}"),  # MailerSend
    ("napi_", r"napi_[a-z0-9]{40,70}"),  # Neon
    ("oy2", r"oy2[a-z0-9]{43}"),  # NuGet
    ("packagist_", r"packagist_[ou][ru]t_[0-9a-f]{68}"),
    ("pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),  # Airtable
    ("pat-eu1-", r"pat-eu1-[0-9a-f\-]{36}"),  # HubSpot
    ("pdl_", r"pdl_(?:live|sdbx)_apikey_[a-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}"),  # Paddle
    ("phc_", r"phc_[A-Za-z0-9]{40,60}"),  # PostHog
    ("pk_", r"pk_\d{6,12}_[A-Z0-9]{32}"),  # ClickUp
    ("pdus+", r"pdus\+_[\w+\-]{20,60}"),  # PagerDuty
    ("re_", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,40}"),  # Resend
    ("rpa_", r"rpa_[A-Z0-9]{40,60}"),  # RunPod
    ("rnd_", r"rnd_[A-Za-z0-9]{28,40}"),  # Render
    ("rzp_", r"rzp_(?:live|test)_[A-Za-z0-9]{14}"),  # Razorpay
    ("scw", r"SCW[A-Z0-9]{17}"),  # Scaleway
    ("semgrep_", r"semgrep_[0-9a-f]{40,80}"),
    ("sk_", r"sk_[0-9a-f]{48}"),  # ElevenLabs
    ("sk-lf-", r"sk-lf-[0-9a-f\-]{36}"),  # Langfuse
    ("sk.ey", r"sk\.eyJ[A-Za-z0-9]{40,120}\.[\w\-]{20,30}"),  # Mapbox
    ("ssws ", r"SSWS 00[\w\-]{40}"),  # Okta
    ("tgp_v1_", r"tgp_v1_[\w\-]{40,60}"),  # Together
    ("tskey-", r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{20,48}"),  # Tailscale
    ("vck_", r"vc[kpi]_[A-Za-z0-9]{24,60}"),  # Vercel
    ("vcp_", r"vcp_[A-Za-z0-9]{24,60}"),
    ("zpka_", r"zpka_[0-9a-f]{32}_[0-9a-f]{8}"),  # Zuplo
    ("ezak", r"EZAK[A-Za-z0-9]{54}"),  # EasyPost
    ("eztk", r"EZTK[A-Za-z0-9]{54}"),
    ("figd_", r"figd_[\w\-]{40,60}"),  # Figma
    ("fio-u-", r"fio-u-[\w\-=]{64}"),  # Frame.io
    ("flwpubk", r"FLWPUBK_TEST-[A-Za-z0-9]{32}-X"),  # Flutterwave
    ("flwseck", r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,32}(?:-X)?"),
    ("frio-", r"frio-[\w\-=]{64}"),
    ("gsk_", r"gsk_[A-Za-z0-9]{48,60}"),  # Groq
    ("ico-", r"(?<!\.)ico-[A-Za-z0-9]{32}"),  # Infracost
    ("live_", r"live_[\w\-=]{40}(?![\w\-=])"),  # GoCardless
    ("lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),  # LangSmith
    ("nfp_", r"nfp_[A-Za-z0-9]{36}"),  # Netlify
    ("nrii-", r"NRII-[\w\-]{32}"),  # New Relic
    ("nrjs-", r"NRJS-[a-f0-9]{19}"),
    ("nvapi-", r"nvapi-[\w\-]{60,80}"),  # NVIDIA
    ("p8e-", r"p8e-[A-Za-z0-9]{32}"),  # Adobe
    ("pat-na1-", r"pat-na1-[0-9a-f\-]{36}"),  # HubSpot
    ("pat.", r"pat\.[\w\-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}"),  # Harness
    ("pcsk_", r"pcsk_[A-Za-z0-9_]{50,80}"),  # Pinecone
    ("phx_", r"phx_[A-Za-z0-9]{40,60}"),  # PostHog
    ("pk.", r"pk\.[A-Za-z0-9]{60}\.[A-Za-z0-9]{22}"),  # Mapbox
    ("pnu_", r"pnu_[A-Za-z0-9]{36}"),  # Prefect
    ("pplx-", r"pplx-[A-Za-z0-9]{48}"),  # Perplexity
    ("r8_", r"r8_[A-Za-z0-9]{37}"),  # Replicate
    ("rdme_", r"rdme_[a-z0-9]{70}"),  # ReadMe
    ("s-s4t2", r"s-s4t2(?:ud|af)-[0-9a-f]{64}"),  # 42
    ("sat.", r"sat\.[\w\-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}"),  # Harness
    ("sb_secret_", r"sb_secret_[\w\-]{30,50}"),  # Supabase
    ("sbp_", r"sbp_[0-9a-f]{40}"),
    ("secret_", r"secret_[A-Za-z0-9]{43}"),  # Notion, older
    ("sgp_", r"sgp_(?:(?:local|[A-Fa-f0-9]{16})_)?[A-Fa-f0-9]{40}"),  # Sourcegraph
    ("sha256~", r"sha256~[\w\-]{43}"),  # OpenShift
    ("shippo_", r"shippo_(?:live|test)_[A-Fa-f0-9]{40}"),
    ("sl.", r"sl\.(?:u\.)?[\w\-=]{130,2000}"),  # Dropbox
    ("sm_", r"sm_[aps]at_[A-Za-z0-9]{16}"),  # SettleMint
    ("sqa_", r"sqa_[a-f0-9]{40}"),  # SonarQube
    ("sqp_", r"sqp_[a-f0-9]{40}"),
    ("squ_", r"squ_[a-f0-9]{40}"),
    ("t1.", r"t1\.[\w\-]{2,200}={0,2}\.[\w\-]{86}={0,2}"),  # Yandex
    ("tfp_", r"tfp_[\w.=\-]{59}"),  # Typeform
    ("tk-us-", r"tk-us-[\w\-]{48}"),  # Scalingo
    ("tvly-", r"tvly-[A-Za-z0-9\-]{32,60}"),  # Tavily
    ("xai-", r"xai-[A-Za-z0-9]{60,90}"),
    ("xkeysib-", r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),  # Brevo
    ("xsmtpsib-", r"xsmtpsib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    ("yc", r"YC[\w\-]{38}"),  # Yandex
)

PREFIXES: tuple[Rule, ...] = (
    Rule(
        "other-token",
        "Token with a known prefix of another issuer",
        tuple(keyword for keyword, _ in _PREFIXED),
        "(?:" + "|".join(pattern for _, pattern in _PREFIXED) + ")(?![A-Za-z0-9])",
        matches=(
            "ATATT3" + _A + _A,
            "pnu_" + _A + "a1b2",
            "sgp_" + _H + "_" + _H + _H + _H[:8],
            "s-s4t2ud-" + _H * 4,
            "xkeysib-" + _H * 4 + "-" + _A[:16],
            "dckr_pat_" + _A[:27],
        ),
        rejects=("ico-" + "X" * 32, "pnu_short", "sgp_local", "video.ico-" + _H + _H + ".png"),
        entropy=3.0,
        judge=is_opaque,
    ),
    Rule(
        "maxmind-key",
        "MaxMind license key",
        ("_mmk",),
        r"(?<=[A-Za-z0-9]{6}_[A-Za-z0-9]{29})_mmk(?![A-Za-z0-9])",
        matches=(_A[:6] + "_" + _A[:29] + "_mmk",),
        rejects=("x_mmk",),
        is_bounded=False,
        leading=("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", 36),
    ),
    Rule(
        "facebook-app-token",
        "Facebook app access token",
        ("|",),
        r"(?<=\d{15})\|[\w\-]{27}(?![\w\-])",
        matches=("1308742762612587|" + _A[:27],),
        rejects=("| 1 | 2 |", "123456789012345|" + "x" * 26),
        entropy=3.2,
        is_bounded=False,
        leading=("0123456789", 17),
    ),
    Rule(
        "sumologic-key",
        "Sumo Logic access id",
        ("sumo",),
        r"(?:sumo|SUMO|Sumo)(?i:logic)?[\w.\-]{0,24}[\"'`]?[ \t]{0,4}(?::=|=>|[:=,])[ \t]{0,4}[\"'`]?"
        r"(su[A-Za-z0-9]{12})(?![A-Za-z0-9])",
        matches=('sumologic.accessId = "su' + _A[:12] + '"',),
        rejects=("sumo = subscriptions", f"sumOf = su{_A[:12]}"),
        group=1,
        is_bounded=False,
        judge=is_opaque,
    ),
    Rule(
        "bundler-credentials",
        "User and password of a gem server in the environment",
        ("bundle_",),
        r"BUNDLE_[A-Z0-9_]{1,60}__[A-Z]{2,8}[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?"
        r"([^\s\"':$]{1,64}:[^\s\"'$/][^\s\"']{3,256})",
        matches=("export BUNDLE_GEMS__EXAMPLE__COM=cafebabe:deadbeef",),
        rejects=("BUNDLE_MIRROR__EXAMPLE__COM=https://example.org/", "BUNDLE_GEMS__EXAMPLE__COM=$USER:$PASSWORD"),
        group=1,
    ),
)
