use crate::model::Shown;
use crate::resolve::fixture::{facts, policy};

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
