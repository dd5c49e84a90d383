//! Policies with credentials, runs under them, and the search for the secret afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::internet::Internet;
use crate::looking::{DIRECT, PROXY, Way};
use crate::support::{Ran, finish};

/// The secret of these tests: what Anthropic's keys look like.
pub(crate) const SECRET: &str =
    "sk-ant-api03-R34lS3cr3tOfTh1sP3rson-abcdefghijklmnopqrstuvwxyz0123456789-AA";
/// Somebody else's.
pub(crate) const OTHERS: &str =
    "sk-ant-api03-0th3rP3rsonsK3y000-abcdefghijklmnopqrstuvwxyz0123456789-BB";
/// Where an API is asked.
pub(crate) const BOTH: [Way; 2] = [PROXY, DIRECT];

/// A credential `api` of the caller's `$API_SECRET`, borne so; the sandbox has it in `$API_KEY`.
pub(crate) fn credential(inject: &str) -> String {
    format!(
        "[credentials.api]\nsource = {{ env = 'API_SECRET' }}\nenv = 'API_KEY'\ninject = {{ {inject} }}\n"
    )
}

/// A rule for `new.test` that lets through what bears it.
pub(crate) fn bound(more: &str) -> String {
    format!("[[network.allow]]\nhost = 'new.test'\ncredential = 'api'\n{more}\n")
}

impl Internet {
    /// `cofferdam run` under rules, with the secret in the caller's environment.
    pub(crate) fn lent(&self, seconds: u32, rules: &str) -> Command {
        let mut command = self.looks(seconds, rules);
        command.env("API_SECRET", SECRET).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    /// Runs Python that speaks, under rules, one way; nothing that was written holds the secret.
    #[track_caller]
    pub(crate) fn bears(&self, rules: &str, (_, before): Way, act: &str) -> Ran {
        let script = format!("{before}{}", self.speaking("act.py", act));
        let ran = finish(self.lent(60, rules).args(["sh", "-c", &script]));
        self.holds_no_secret(&ran, SECRET);
        ran
    }

    /// What a run said, and every file below home, state and temporary directories of this test, holds
    /// neither the secret nor a piece of it in a usual coding.
    #[track_caller]
    pub(crate) fn holds_no_secret(&self, ran: &Ran, secret: &str) {
        let forms = forms(secret);
        let said = format!("{}{}", ran.out, ran.err);
        for (what, form) in &forms {
            assert!(
                !said.contains(form.as_str()),
                "the secret, {what}, is in what was said: {said}"
            );
        }
        let mut looked = 0;
        walk(&self.place.root, &mut |path, bytes| {
            looked += 1;
            for (what, form) in &forms {
                let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!found, "the secret, {what}, is in {}", path.display());
            }
        });
        assert!(looked > 1, "nothing was looked through");
    }
}

/// The secret as it is, and as a program might write it.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    use std::fmt::Write as _;
    let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let reversed: String = secret.chars().rev().collect();
    vec![("as it is", secret.to_owned()), ("in hex", hex), ("reversed", reversed)]
}

fn walk(at: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), look);
        } else if kind.is_file() {
            look(&entry.path(), &fs::read(entry.path()).unwrap_or_default());
        }
    }
}
