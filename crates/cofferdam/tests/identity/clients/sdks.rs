//! The SDKs of Anthropic and OpenAI, of Python and of Node: an answer, and one that comes as events.

use super::fetched::{node, python};
use super::{Client, field, has};
use crate::internet::Internet;
use crate::lodging::{OTHERS, SECRET, bound};

/// By name: the key's variable, how requests bear it, and the field with what comes before it.
const APIS: [(&str, &str, &str, &str, &str); 2] = [
    ("anthropic", "ANTHROPIC_API_KEY", "header = 'x-api-key'", "x-api-key", ""),
    ("openai", "OPENAI_API_KEY", "bearer = true", "authorization", "Bearer "),
];

/// Both of one language; `command` says how one is started, by its name.
fn answers(net: &Internet, packages: &str, command: impl Fn(&str) -> String) {
    let played = net.www().join("played");
    std::fs::create_dir_all(&played).unwrap();
    std::fs::write(played.join("sdk.py"), include_str!("sdk.py")).unwrap();
    std::fs::write(played.join("sdk.key"), SECRET).unwrap();
    net.place.write("home/src/app/act.py", include_str!("acts.py"));
    net.place.write("home/src/app/act.js", include_str!("acts.js"));
    let grant = format!("[[filesystem.grant]]\npath = '{packages}'\nmode = 'read-only'\n");
    for (name, variable, inject, carrier, before) in APIS {
        let credential = format!(
            "[credentials.api]\nsource = {{ env = 'API_SECRET' }}\nenv = '{variable}'\ninject = {{ {inject} }}\n"
        );
        let wanted = format!("{before}{SECRET}");
        Client {
            name,
            secret: SECRET,
            others: OTHERS,
            rules: format!("{grant}{}{credential}", bound("methods = ['POST']")),
            plants: &format!("export {variable}=\"$KEY\""),
            works: &format!("{} 2>&1", command(name)),
            shows: &|one| field(one, carrier) == [wanted.as_str()],
        }
        .bears(net);
    }
}

#[test]
fn sdks_of_python_are_answered() {
    let Some(net) = Internet::take() else { return };
    let pinned = ["anthropic==0.60.0", "openai==1.98.0"];
    let Some(packages) = python(&net, "SDKs of Python", &pinned) else { return };
    answers(&net, &packages, |name| {
        format!("PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{packages}' /usr/bin/python3 act.py {name}")
    });
}

#[test]
fn sdks_of_node_are_answered() {
    let Some(net) = Internet::take() else { return };
    if !has(&net, "node") || !has(&net, "npm") {
        return;
    }
    let pinned = ["@anthropic-ai/sdk@0.60.0", "openai@5.12.0"];
    let Some(packages) = node(&net, "SDKs of Node", &pinned) else { return };
    answers(&net, &packages, |name| {
        let package = if name == "anthropic" { "@anthropic-ai/sdk" } else { name };
        format!("node act.js {name} '{packages}/node_modules/{package}'")
    });
}
