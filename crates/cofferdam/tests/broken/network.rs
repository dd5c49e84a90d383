//! Broken rules of the network, as policies and as flags.

use super::Case;

/// Name, policy text (none: the built-in one), flags.
pub(super) const CASES: &[Case] = &[
    ("no-host", Some("version = 1\n[[network.allow]]\nports = [443]\n"), &[]),
    ("deny-no-host", Some("version = 1\n[[network.deny]]\nreason = \"x\"\n"), &[]),
    ("host-empty", Some("version = 1\n[[network.allow]]\nhost = \"\"\n"), &[]),
    (
        "host-url",
        Some("version = 1\n[[network.allow]]\nhost = \"https://api.example.com/v1\"\n"),
        &[],
    ),
    ("host-port", Some("version = 1\n[[network.allow]]\nhost = \"api.example.com:8443\"\n"), &[]),
    ("host-path", Some("version = 1\n[[network.allow]]\nhost = \"github.com/me/repo\"\n"), &[]),
    ("host-user", Some("version = 1\n[[network.allow]]\nhost = \"git@github.com\"\n"), &[]),
    ("host-blank", Some("version = 1\n[[network.allow]]\nhost = \"api.example.com \"\n"), &[]),
    ("host-dot", Some("version = 1\n[[network.allow]]\nhost = \"api.example.com.\"\n"), &[]),
    (
        "host-empty-label",
        Some("version = 1\n[[network.allow]]\nhost = \"api..example.com\"\n"),
        &[],
    ),
    ("host-star-joined", Some("version = 1\n[[network.allow]]\nhost = \"*example.com\"\n"), &[]),
    (
        "host-star-middle",
        Some("version = 1\n[[network.allow]]\nhost = \"api.*.example.com\"\n"),
        &[],
    ),
    ("host-hyphen", Some("version = 1\n[[network.allow]]\nhost = \"-api.example.com\"\n"), &[]),
    ("host-letter", Some("version = 1\n[[network.allow]]\nhost = \"api!.example.com\"\n"), &[]),
    ("host-number", Some("version = 1\n[[network.allow]]\nhost = \"0x7f.1\"\n"), &[]),
    ("host-script", Some("version = 1\n[[network.allow]]\nhost = \"xn--a.example.com\"\n"), &[]),
    (
        "host-long-label",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com\"\n",
        ),
        &[],
    ),
    (
        "host-too-long",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.example.com\"\n",
        ),
        &[],
    ),
    ("host-ambiguous", Some("version = 1\n[[network.allow]]\nhost = \"2001:db8::1:443\"\n"), &[]),
    ("host-brackets", Some("version = 1\n[[network.allow]]\nhost = \"[2001:db8::1]:443\"\n"), &[]),
    ("host-zone", Some("version = 1\n[[network.allow]]\nhost = \"fe80::1%eth0\"\n"), &[]),
    ("host-mapped", Some("version = 1\n[[network.allow]]\nhost = \"::ffff:192.0.2.1\"\n"), &[]),
    ("block-bits", Some("version = 1\n[[network.allow]]\nhost = \"10.1.2.3/8\"\n"), &[]),
    ("block-prefix", Some("version = 1\n[[network.allow]]\nhost = \"10.0.0.0/33\"\n"), &[]),
    ("wide-tld", Some("version = 1\n[[network.allow]]\nhost = \"*.com\"\n"), &[]),
    ("wide-private", Some("version = 1\n[[network.allow]]\nhost = \"*.github.io\"\n"), &[]),
    ("wide-all", Some("version = 1\n[[network.allow]]\nhost = \"*\"\n"), &[]),
    ("wide-block", Some("version = 1\n[[network.allow]]\nhost = \"0.0.0.0/0\"\n"), &[]),
    (
        "port-none",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = []\n"),
        &[],
    ),
    (
        "port-zero",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [0]\n"),
        &[],
    ),
    (
        "port-twice",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [443, 443]\n"),
        &[],
    ),
    (
        "port-text",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [\"https\"]\n"),
        &[],
    ),
    (
        "ports-many",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nprotocol = \"tcp\"\nports = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66]\n",
        ),
        &[],
    ),
    (
        "protocol-missing",
        Some("version = 1\n[[network.allow]]\nhost = \"db.example.com\"\nports = [5432]\n"),
        &[],
    ),
    (
        "protocol-mixed",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [80, 443]\n"),
        &[],
    ),
    (
        "protocol-https",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nprotocol = \"https\"\n"),
        &[],
    ),
    (
        "protocol-udp",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nprotocol = \"udp\"\n"),
        &[],
    ),
    (
        "dial-name",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ndial = \"b.example.com:443\"\n",
        ),
        &[],
    ),
    (
        "dial-wildcard",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"*.example.com\"\ndial = \"192.0.2.7:443\"\n",
        ),
        &[],
    ),
    (
        "dial-ports",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [80, 443]\nprotocol = \"tcp\"\ndial = \"192.0.2.7:443\"\n",
        ),
        &[],
    ),
    (
        "reason-lines",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nreason = \"one\\ntwo\"\n"),
        &[],
    ),
    (
        "unknown-credential",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"anthropic\"\n",
        ),
        &[],
    ),
    (
        "ssh-host-key",
        Some(
            "version = 1\n[credentials.deploy]\nsource = { vault = \"deploy\" }\nssh = { hosts = [\"ssh-ed25519 AAAA\"], users = [\"git\"] }\n",
        ),
        &[],
    ),
    (
        "ssh-no-hosts",
        Some(
            "version = 1\n[credentials.deploy]\nsource = { vault = \"deploy\" }\nssh = { users = [\"git\"] }\n",
        ),
        &[],
    ),
    (
        "ssh-no-users",
        Some(
            "version = 1\n[credentials.deploy]\nsource = { vault = \"deploy\" }\n[credentials.deploy.ssh]\nhosts = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"]\nusers = []\n",
        ),
        &[],
    ),
    (
        "ssh-user",
        Some(
            "version = 1\n[credentials.deploy]\nsource = { vault = \"deploy\" }\n[credentials.deploy.ssh]\nhosts = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"]\nusers = [\"git@git.example.com \"]\n",
        ),
        &[],
    ),
    (
        "ssh-beside",
        Some(
            "version = 1\n[credentials.deploy]\nsource = { vault = \"deploy\" }\nssh = { hosts = [\"git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"], users = [\"git\"] }\nenv = \"KEY\"\n",
        ),
        &[],
    ),
    (
        "ssh-in-a-rule",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"git.example.com\"\ncredential = \"deploy\"\n[credentials.deploy]\nsource = { vault = \"deploy\" }\nssh = { hosts = [\"git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"], users = [\"git\"] }\n",
        ),
        &[],
    ),
    (
        "ssh-variable",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"git.example.com\"\n[environment]\ndangerous_allow = [\"SSH_AUTH_SOCK\"]\n[credentials.deploy]\nsource = { vault = \"deploy\" }\nssh = { hosts = [\"git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"], users = [\"git\"] }\n",
        ),
        &[],
    ),
    (
        "tokens-for-nothing",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { bearer = true }\noauth = { access_token = \"api\" }\n",
        ),
        &[],
    ),
    (
        "two-tokens-one-secret",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { basic = \"id\" }\noauth = { access_token = \"api\", id_token = \"api\" }\n",
        ),
        &[],
    ),
    (
        "token-of-nobody",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { basic = \"id\" }\noauth = { access_token = \"api\" }\n",
        ),
        &[],
    ),
    (
        "token-that-signs",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { basic = \"id\" }\noauth = { access_token = \"api\" }\n[credentials.api]\nsource = { vault = \"api\" }\ninject = { sigv4 = { service = \"s3\", region = \"eu-central-1\" } }\n",
        ),
        &[],
    ),
    (
        "token-that-nobody-brings",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { basic = \"id\" }\n[credentials.api]\nsource = { oauth = true }\ninject = { bearer = true }\n",
        ),
        &[],
    ),
    (
        "token-before-its-answer",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ncredential = \"client\"\n[credentials.client]\nsource = { vault = \"client\" }\ninject = { basic = \"id\" }\noauth = { access_token = \"api\" }\n[credentials.api]\nsource = { oauth = true }\ninject = { bearer = true }\nenv = \"API\"\n",
        ),
        &[],
    ),
    (
        "misspelt-port",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nport = [443]\n"),
        &[],
    ),
    (
        "wide-no-boolean",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"*.com\"\ndangerous_wide_wildcard = \"yes\"\n",
        ),
        &[],
    ),
    ("allow-no-list", Some("version = 1\n[network]\nallow = \"a.example.com\"\n"), &[]),
    ("allow-no-table", Some("version = 1\n[network]\nallow = [\"a.example.com\"]\n"), &[]),
    ("later-dns", Some("version = 1\n[network]\ndns = {}\n"), &[]),
    (
        "deny-protocol",
        Some("version = 1\n[network]\ndeny = [{ host = \"a.example.com\", protocol = \"tls\" }]\n"),
        &[],
    ),
    (
        "proxy-scheme",
        Some("version = 1\n[network]\nupstream_proxy = \"https://proxy.example.com:3128\"\n"),
        &[],
    ),
    (
        "proxy-user",
        Some(
            "version = 1\n[network]\nupstream_proxy = \"http://me:secret@proxy.example.com:3128\"\n",
        ),
        &[],
    ),
    (
        "proxy-no-port",
        Some("version = 1\n[network]\nupstream_proxy = \"http://proxy.example.com\"\n"),
        &[],
    ),
    ("publish-address", Some("version = 1\n[network]\npublish = [\"0.0.0.0:3000\"]\n"), &[]),
    ("publish-twice", Some("version = 1\n[network]\npublish = [\"3000\", \"4000:3000\"]\n"), &[]),
    ("publish-number", Some("version = 1\n[network]\npublish = [3000]\n"), &[]),
    ("dangerous-pattern", Some("version = 1\n[environment]\ndangerous_allow = [\"AWS_*\"]\n"), &[]),
    ("allow-url", None, &["--allow", "https://api.example.com/"]),
    ("allow-protocol", None, &["--allow", "db.example.com:5432"]),
    ("allow-unknown-protocol", None, &["--allow", "db.example.com:5432/sql"]),
    ("allow-port", None, &["--allow", "db.example.com:postgres"]),
    ("allow-ipv6", None, &["--allow", "2001:db8::1:443"]),
    ("allow-two-ports", None, &["--allow", "a.example.com:1:2"]),
    ("allow-wide", None, &["--allow", "*.co.uk"]),
    ("allow-and-none", None, &["--network", "none", "--allow", "a.example.com"]),
    ("publish-and-none", None, &["--network", "none", "--publish", "3000"]),
    ("publish-flag", None, &["--publish", "http"]),
    ("publish-flag-twice", None, &["--publish", "3000", "--publish", "3000"]),
    ("dangerous-env-value", None, &["--dangerous-env", "MY_TOKEN=x"]),
    (
        "host-long-star",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.test\"\n",
        ),
        &[],
    ),
    (
        "allow-long-words",
        None,
        &[
            "--allow",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.test:1:2",
        ],
    ),
    ("allow-user", None, &["--allow", "me:hush@example.com"]),
    (
        "dial-long",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"example.com\"\ndial = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.test:443\"\n",
        ),
        &[],
    ),
    (
        "rules-clash",
        Some(
            "version = 1\n[network]\nallow = [\n{ host = \"a.example.com\" },\n\
             { host = \"a.example.com\", protocol = \"tcp\" },\n]\n",
        ),
        &[],
    ),
];
