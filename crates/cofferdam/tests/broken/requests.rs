//! Broken rules about requests.

use super::Case;

/// Name, policy text, flags.
pub(super) const CASES: &[Case] = &[
    (
        "inspect-word",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ninspect = \"on\"\n"),
        &[],
    ),
    (
        "inspect-never-methods",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ninspect = \"never\"\nmethods = [\"GET\"]\n",
        ),
        &[],
    ),
    (
        "inspect-never-clear",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nports = [80]\ninspect = \"never\"\n",
        ),
        &[],
    ),
    (
        "inside-tcp",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nprotocol = \"tcp\"\npaths = [\"/a\"]\n",
        ),
        &[],
    ),
    (
        "inside-tcp-always",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nprotocol = \"tcp\"\ninspect = \"always\"\n",
        ),
        &[],
    ),
    (
        "git-with-paths",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = [\"a/b:read\"]\npaths = [\"/a\"]\n",
        ),
        &[],
    ),
    (
        "graphql-with-websocket",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngraphql = \"query\"\nwebsocket = true\n",
        ),
        &[],
    ),
    (
        "h2c-tls",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nh2c = true\n"),
        &[],
    ),
    (
        "methods-empty",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmethods = []\n"),
        &[],
    ),
    (
        "git-empty",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = []\n"),
        &[],
    ),
    (
        "headers-empty",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nheaders = {}\n"),
        &[],
    ),
    (
        "method-small",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmethods = [\"get\"]\n"),
        &[],
    ),
    (
        "method-connect",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmethods = [\"CONNECT\"]\n"),
        &[],
    ),
    (
        "method-twice",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmethods = [\"GET\", \"GET\"]\n",
        ),
        &[],
    ),
    (
        "path-no-slash",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"v1/models\"]\n"),
        &[],
    ),
    (
        "path-long",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]\n",
        ),
        &[],
    ),
    (
        "path-stars",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/v1**\"]\n"),
        &[],
    ),
    (
        "path-query",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/v1?page=1\"]\n",
        ),
        &[],
    ),
    (
        "path-dots",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/v1/../v2\"]\n"),
        &[],
    ),
    (
        "path-encoded-letter",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/%761\"]\n"),
        &[],
    ),
    (
        "path-semicolon",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\npaths = [\"/v1;p/*\"]\n"),
        &[],
    ),
    (
        "query-no-value",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nquery = [\"page\"]\n"),
        &[],
    ),
    (
        "query-separator",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nquery = [\"a=1&b=2\"]\n"),
        &[],
    ),
    (
        "header-name",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nheaders = { \"accept:\" = \"*\" }\n",
        ),
        &[],
    ),
    (
        "header-value",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nheaders = { accept = \"a\\nb\" }\n",
        ),
        &[],
    ),
    (
        "header-twice",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nheaders = { accept = \"*\", Accept = \"*\" }\n",
        ),
        &[],
    ),
    (
        "header-set-and-removed",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nremove_headers = [\"x-a\"]\nset_headers = { x-a = \"b\" }\n",
        ),
        &[],
    ),
    (
        "header-kept",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nset_headers = { Host = \"b.example.com\" }\n",
        ),
        &[],
    ),
    (
        "header-removed-kept",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nremove_headers = [\"transfer-encoding\"]\n",
        ),
        &[],
    ),
    (
        "header-secret",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nset_headers = { Authorization = \"Bearer abc\" }\n",
        ),
        &[],
    ),
    (
        "header-secret-required",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nheaders = { cookie = \"a=b\" }\n",
        ),
        &[],
    ),
    (
        "header-secret-part",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nset_headers = { x-auth-token = \"abc\" }\n",
        ),
        &[],
    ),
    (
        "body-size",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmax_request_bytes = \"2MB\"\n",
        ),
        &[],
    ),
    (
        "body-size-type",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nmax_response_bytes = true\n",
        ),
        &[],
    ),
    (
        "rate-unit",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrate = \"60/m\"\n"),
        &[],
    ),
    (
        "rate-zero",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrate = \"0/s\"\n"),
        &[],
    ),
    (
        "git-no-access",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = [\"a/b\"]\n"),
        &[],
    ),
    (
        "git-no-owner",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = [\"b:read\"]\n"),
        &[],
    ),
    (
        "git-suffix",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = [\"a/b.git:read\"]\n",
        ),
        &[],
    ),
    (
        "git-repository-twice",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngit = [\"a/b:read\", \"a/b:write\"]\n",
        ),
        &[],
    ),
    (
        "graphql-word",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngraphql = \"mutation\"\n"),
        &[],
    ),
    (
        "refuse-body-pattern",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrefuse_body = [\"tools.*.type=*fetch\"]\n",
        ),
        &[],
    ),
    (
        "refuse-body-empty-name",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrefuse_body = [\"tools..type\"]\n",
        ),
        &[],
    ),
    (
        "refuse-body-twice",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrefuse_body = [\"a\", \"a\"]\n",
        ),
        &[],
    ),
    (
        "refuse-body-with-graphql",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\ngraphql = \"query\"\nrefuse_body = [\"a\"]\n",
        ),
        &[],
    ),
    (
        "refuse-body-with-websocket",
        Some(
            "version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nrefuse_body = [\"a\"]\nwebsocket = true\n",
        ),
        &[],
    ),
    (
        "websocket-word",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nwebsocket = \"yes\"\n"),
        &[],
    ),
    (
        "inspect-clash",
        Some(
            "version = 1\n[network]\nallow = [\n{ host = \"a.example.com\", inspect = \"never\" },\n{ host = \"a.example.com\", methods = [\"GET\"] },\n]\n",
        ),
        &[],
    ),
    (
        "deny-methods-empty",
        Some("version = 1\n[[network.deny]]\nhost = \"a.example.com\"\nmethods = []\n"),
        &[],
    ),
    (
        "deny-path",
        Some("version = 1\n[[network.deny]]\nhost = \"a.example.com\"\npaths = [\"admin\"]\n"),
        &[],
    ),
    (
        "deny-query",
        Some("version = 1\n[[network.deny]]\nhost = \"a.example.com\"\nquery = []\n"),
        &[],
    ),
    (
        "later-body",
        Some("version = 1\n[[network.allow]]\nhost = \"a.example.com\"\nbody = \"json\"\n"),
        &[],
    ),
    ("trust-ca-pattern", Some("version = 1\n[network]\ntrust_ca = [\"*.pem\"]\n"), &[]),
    ("trust-ca-up", Some("version = 1\n[network]\ntrust_ca = [\"../ca.pem\"]\n"), &[]),
];
