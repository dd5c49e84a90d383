//! Whom the workload's programs believe where the gateway looks into TLS: the session's own authority
//! beside the system's, in the places and by the variables where programs look.

use std::path::{Path, PathBuf};

use cofferdam_policy::model::{Clause, Ours, Policy, Replaced, Shown, Variable};

use super::OWN;
use crate::content::{Content, Trusted};
use crate::coverage::{Coverage, Extent};
use crate::plan::Step;

/// The rule that all of this is for.
const CLAUSE: &str = "network.inspect";
/// What a JVM heeds, whoever starts it; it says so on its standard error. A JVM brings its list along,
/// and no variable adds to that.
const JAVA: &str = "JAVA_TOOL_OPTIONS";

/// Variables, which file each names, and who heeds it. Node.js and Deno add to a list of their own; the
/// others take the file for the whole list. npm is a program of Node.js and has no list of its own.
const VARIABLES: &[(&str, Trusted, &str)] = &[
    ("SSL_CERT_FILE", Trusted::Everybody, "OpenSSL, Python, Ruby, Go, uv and others"),
    ("NIX_SSL_CERT_FILE", Trusted::Everybody, "programs of Nix"),
    ("CURL_CA_BUNDLE", Trusted::Everybody, "curl"),
    ("GIT_SSL_CAINFO", Trusted::Everybody, "git"),
    ("REQUESTS_CA_BUNDLE", Trusted::Everybody, "Python's requests"),
    ("PIP_CERT", Trusted::Everybody, "pip"),
    ("AWS_CA_BUNDLE", Trusted::Everybody, "the tools of AWS"),
    ("CARGO_HTTP_CAINFO", Trusted::Everybody, "cargo"),
    ("BUNDLE_SSL_CA_CERT", Trusted::Everybody, "Bundler"),
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", Trusted::Everybody, "gRPC"),
    ("NODE_EXTRA_CA_CERTS", Trusted::Session, "Node.js, npm and Bun"),
    ("DENO_CERT", Trusted::Session, "Deno"),
    (JAVA, Trusted::Java, "Java"),
];

fn place(what: Trusted) -> PathBuf {
    Path::new(OWN).join(what.name())
}

/// The files, before anything of the system's is replaced by them.
pub(super) fn files(policy: &Policy) -> impl Iterator<Item = Step> {
    let inspects = policy.network.rules.inspects();
    let file = |what| Step::File { path: place(what), content: Content::Later(what), mode: 0o644 };
    Trusted::EACH.into_iter().filter(move |_| inspects).map(file)
}

/// The file of ours that stands at a replaced name.
pub(super) fn source(ours: &Replaced) -> Option<PathBuf> {
    match ours.by {
        Ours::Own => Some(Path::new(OWN).join(ours.path.file_name()?)),
        Ours::Authorities => Some(place(Trusted::Everybody)),
        Ours::AuthoritiesOfJava => Some(place(Trusted::Java)),
    }
}

/// `variables` with those that lead to the files. One that is there is somebody's word, and stays.
pub(super) fn environment(policy: &Policy, mut variables: Vec<Variable>) -> Vec<Variable> {
    let inspects = policy.network.rules.inspects();
    for (name, what, _) in VARIABLES.iter().filter(|_| inspects) {
        if variables.iter().any(|variable| variable.name == *name) {
            continue;
        }
        let path = place(*what);
        let value = match what {
            // A password would ask for an integrity check and protect nothing: everybody may read it.
            Trusted::Java => format!("-Djavax.net.ssl.trustStore={}", path.display()),
            Trusted::Everybody | Trusted::Session => path.display().to_string(),
        };
        let (name, clause) = ((*name).into(), Clause::built_in(CLAUSE));
        variables.push(Variable { name, value, shown: Shown::Value, clause });
    }
    variables
}

/// What that is for, and who does not heed it.
pub(super) fn rows(policy: &Policy) -> Vec<Coverage> {
    if !policy.network.rules.inspects() {
        return Vec::new();
    }
    let standing = policy.replaced.iter().filter(|ours| ours.by != Ours::Own);
    let standing: Vec<_> = standing.map(|ours| ours.path.display().to_string()).collect();
    let mut says = "programs inside believe the session's own authority".to_owned();
    if !standing.is_empty() {
        says += &format!(", beside the system's: {}", standing.join(", "));
    }
    let theirs = |name: &str| policy.environment.iter().find(|variable| variable.name == name);
    let ours = VARIABLES.iter().map(|(name, ..)| *name).filter(|name| theirs(name).is_none());
    let ours: Vec<&str> = ours.collect();
    let mut mechanisms = vec![format!("files of ours in {OWN}")];
    if !standing.is_empty() {
        mechanisms.push("mounts over the system's, watched".into());
    }
    if !ours.is_empty() {
        mechanisms.push(format!("variables: {}", ours.join(", ")));
    }
    let mut open =
        "a program that brings a list of its own and heeds none of these refuses the hosts \
                    that are looked into"
            .to_owned();
    for (name, _, who) in VARIABLES {
        if let Some(variable) = theirs(name) {
            open += &format!("; {name} is set by {}, so {who} may refuse them", variable.clause);
        }
    }
    let (clause, extent) = (Clause::built_in(CLAUSE), Extent::Partly { open });
    vec![Coverage { clause, says, mechanisms, extent }]
}
