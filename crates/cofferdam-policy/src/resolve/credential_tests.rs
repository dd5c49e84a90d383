use crate::document::{Document, Source};
use crate::hostname::Name;
use crate::judge::hosts::{Decision, Host, Protocol};
use crate::judge::requests::Request;
use crate::model::Shown;
use crate::resolve::fixture::{facts, policy};
use crate::resolve::resolve;

/// A credential `aws` of a signature, that has this `env`, and another one.
fn aws(env: &str, other: &str) -> String {
    format!(
        "home = 'private'\n[[network.allow]]\nhost = 'a.test'\ncredential = 'aws'\n\
         [credentials.aws]\nsource = {{ vault = 'aws' }}\n{env}\n\
         inject = {{ sigv4 = {{ service = 's3', region = 'eu-central-1' }} }}\n{other}"
    )
}

#[test]
fn the_parts_of_a_key_have_a_variable_each() {
    let plain = "[credentials.'aws.1']\nsource = { vault = 'b' }\ninject = { bearer = true }\n";
    for (env, other, want, why) in [
        ("env = ['I', 'S']", "", Ok(vec!["I=aws.0", "S=aws.1"]), "name and secret"),
        ("env = ['I', 'S', 'T']", "", Ok(vec!["I=aws.0", "S=aws.1", "T=aws.2"]), "a token too"),
        ("", "", Ok(vec![]), "files alone"),
        ("env = 'I'", "", Err("credential-parts"), "all of it in one, which no client reads"),
        ("env = ['I', 'S', 'T', 'U']", "", Err("credential-parts"), "more than there are"),
        ("env = ['I', 'S']", plain, Err("credential-name"), "another one with a part's name"),
    ] {
        let found = policy(&aws(env, other), &facts(&[]));
        let found = found.map_err(|error| error.code()).map(|policy| {
            let all = policy.environment.into_iter().filter(|one| one.shown == Shown::StandIn);
            all.map(|one| format!("{}={}", one.name, one.value)).collect::<Vec<_>>()
        });
        assert_eq!(found, want.map(|rows| rows.into_iter().map(str::to_owned).collect()), "{why}");
    }
}

#[test]
fn a_file_may_hold_a_part() {
    for (text, want, why) in [
        ("id = {aws.0}", Ok(()), "a part"),
        ("{aws}", Ok(()), "all of it"),
        ("id = {aws.3}", Err("credential-content"), "no part"),
        ("id = {other.0}", Err("credential-content"), "another's"),
    ] {
        let files = format!("files = {{ '~/.aws/credentials' = '{text}' }}");
        let found = policy(&aws(&files, ""), &facts(&[]));
        assert_eq!(found.map(|_| ()).map_err(|error| error.code()), want, "{why}");
    }
}

/// A credential `client` that asks for tokens, and what else the text says.
fn asks(oauth: &str, rest: &str) -> String {
    format!(
        "home = 'private'\n[[network.allow]]\nhost = 'a.test'\ncredential = 'client'\n\
         [credentials.client]\nsource = {{ vault = 'c' }}\ninject = {{ basic = 'id' }}\n\
         oauth = {{ {oauth} }}\n{rest}"
    )
}

#[test]
fn each_token_is_somebodys() {
    let api = |more: &str| {
        format!(
            "[credentials.api]\nsource = {{ oauth = true }}\ninject = {{ bearer = true }}\n{more}"
        )
    };
    let signed = "[credentials.api]\nsource = { vault = 'a' }\n\
                  inject = { sigv4 = { service = 's3', region = 'eu-central-1' } }\n";
    let kept =
        "[credentials.api]\nsource = { vault = 'a' }\ninject = { bearer = true }\nenv = 'A'\n";
    let (brings, nobody) = ("access_token = 'api'", "access_token = 'other'");
    let other = "[credentials.other]\nsource = { vault = 'a' }\ninject = { bearer = true }\n";
    for (oauth, rest, want, why) in [
        (brings, api(""), Ok(()), "an answer brings it"),
        (brings, kept.to_owned(), Ok(()), "there is one before, too"),
        (nobody, String::new(), Err("credential-token-unknown"), "there is no such"),
        (brings, signed.to_owned(), Err("credential-token-signs"), "nothing is signed with it"),
        ("access_token = 'api', id_token = 'api'", api(""), Err("credential-tokens"), "two in one"),
        (nobody, format!("{other}{}", api("")), Err("credential-token-nobodys"), "none brings it"),
        (brings, api("env = 'A'\n"), Err("credential-token-placed"), "nothing is there yet"),
        (
            brings,
            api("files = { '~/x' = '{api}' }\n"),
            Err("credential-token-placed"),
            "nor for a file",
        ),
    ] {
        let found = policy(&asks(oauth, &rest), &facts(&[]));
        assert_eq!(found.map(|_| ()).map_err(|error| error.code()), want, "{why}");
    }
}

/// Rules that hold for a host: whose identity each wants, and where it is written.
fn rules(text: &str, host: &str) -> Vec<String> {
    let source = Source { name: "policy.toml".into(), text: format!("version = 1\n{text}") };
    let found = resolve(&Document::parse(source).unwrap(), &facts(&[])).unwrap();
    let rules = found.network.rules.allow.iter().filter(|rule| rule.pattern.to_string() == host);
    let who = |name: &Option<String>| name.clone().unwrap_or_else(|| "anybody".into());
    rules.map(|rule| format!("{} {}", who(&rule.requests.credential), rule.clause.file)).collect()
}

/// A login binds the hosts of its agent's preset, in whatever order they are named.
#[test]
fn a_preset_gives_way_to_who_binds_its_host() {
    let own = "[[network.allow]]\nhost = 'api.anthropic.com'\n";
    let bound = "[[network.allow]]\nhost = 'api.anthropic.com'\ncredential = 'a'\n\
                 [credentials.a]\nsource = { vault = 'a' }\ninject = { header = 'x-api-key' }\n";
    let elsewhere = "[[network.allow]]\nhost = 'api.anthropic.com:8443'\nprotocol = 'tls'\ncredential = 'a'\n\
                     [credentials.a]\nsource = { vault = 'a' }\ninject = { header = 'x-api-key' }\n";
    for (extends, rest, host, want, why) in [
        (
            "'preset:claude-code'",
            "",
            "api.anthropic.com",
            &["anybody preset:anthropic"][..],
            "alone",
        ),
        (
            "'preset:claude-login'",
            "",
            "api.anthropic.com",
            &["claude preset:claude-login"],
            "a login",
        ),
        (
            "'preset:claude-login', 'preset:claude-code'",
            "",
            "api.anthropic.com",
            &["claude preset:claude-login"],
            "the agent behind it",
        ),
        ("'preset:claude-code'", bound, "api.anthropic.com", &["a policy.toml"], "a person's"),
        (
            "'preset:claude-login'",
            own,
            "api.anthropic.com",
            &["anybody policy.toml", "claude preset:claude-login"],
            "what a person says holds",
        ),
        (
            "'preset:claude-code'",
            elsewhere,
            "api.anthropic.com",
            &["a policy.toml", "anybody preset:anthropic"],
            "another port",
        ),
        (
            "'preset:chatgpt-login'",
            "",
            "api.openai.com",
            &["chatgpt preset:chatgpt-login"],
            "a login",
        ),
        ("'preset:github-login'", "", "github.com", &["github-git preset:github-login"], "git"),
        (
            "'preset:github-login'",
            "",
            "codeload.github.com",
            &["anybody preset:github"],
            "no login",
        ),
    ] {
        let text = format!("extends = [{extends}]\n{rest}");
        let text = if rest.contains(":8443") {
            text.replace("api.anthropic.com:8443'", "api.anthropic.com'\nports = [8443]")
        } else {
            text
        };
        // Of one host a preset has several rules.
        let mut found = rules(&text, host);
        found.dedup();
        assert_eq!(found, want, "{why}");
    }
}

/// A login asks for what its agent needs: what a model is asked for is judged as by the preset without a login,
/// by whatever spelling, and what makes keys, or keeps or fetches something, is asked for by nobody.
#[test]
fn a_login_asks_for_no_more() {
    for (preset, host, method, path, want, why) in [
        ("claude-login", "api.anthropic.com", "POST", "/v1/messages", Some(true), "messages"),
        ("claude-login", "api.anthropic.com", "GET", "/v1/models", Some(false), "models"),
        (
            "claude-login",
            "api.anthropic.com",
            "GET",
            "/api/oauth/profile",
            Some(false),
            "who it is",
        ),
        ("claude-login", "api.anthropic.com", "POST", "/v1/messages/", None, "a slash"),
        ("claude-login", "api.anthropic.com", "POST", "/V1/messages", None, "other letters"),
        ("claude-login", "api.anthropic.com", "POST", "/v1/messages/batches", None, "batches"),
        ("claude-login", "api.anthropic.com", "POST", "/v1/files", None, "files"),
        (
            "claude-login",
            "api.anthropic.com",
            "POST",
            "/api/oauth/claude_cli/create_api_key",
            None,
            "a key",
        ),
        (
            "chatgpt-login",
            "chatgpt.com",
            "POST",
            "/backend-api/codex/responses",
            Some(true),
            "responses",
        ),
        ("chatgpt-login", "chatgpt.com", "POST", "/backend-api/files", None, "files"),
        ("chatgpt-login", "api.openai.com", "POST", "/v1/responses", Some(true), "responses"),
        ("chatgpt-login", "api.openai.com", "POST", "/v1/batches", None, "batches"),
        ("chatgpt-login", "api.openai.com", "POST", "/v1/realtime/client_secrets", None, "a key"),
    ] {
        let text = format!("version = 1\nextends = ['preset:{preset}']\n");
        let source = Source { name: "policy.toml".into(), text };
        let found = resolve(&Document::parse(source).unwrap(), &facts(&[])).unwrap();
        let name = Host::Name(Name::parse(host.as_bytes()).unwrap());
        let request = Request { method, path, query: None, headers: &[], websocket: false };
        let rules = found.network.rules;
        let decision = rules.about(&name).decide_request(443, Protocol::Tls, &request);
        let judged = match decision {
            Decision::Allow(rule) => Some(!rule.requests.refuse_body.is_empty()),
            Decision::Deny(..) => None,
        };
        assert_eq!(judged, want, "{preset}: {why}");
    }
}
